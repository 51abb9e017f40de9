"""What both packages stand on: errors, files, settings, registries, signals."""
