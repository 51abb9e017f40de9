"""Training: optimiser, loop, logging."""
