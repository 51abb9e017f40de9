"""What can be chosen by name, for ``ocr list`` and ``ocr settings``.

The registries are made anew, so that telling names imports neither MXNet nor what a plugin takes.
"""

import inspect

from lm.base.errors import ConfigError
from lm.base.plugins import Registry, missing_packages
from lm.base.settings import Setting, describe, from_mapping

__all__ = ["REGISTRIES", "missing_of", "settings_of_entry", "summary_of"]

#: What ``ocr list`` calls them -> registry.
REGISTRIES = {
    "networks": Registry("network", "ocr.networks"),
    "decoders": Registry("decoder", "ocr.decoders"),
    "correctors": Registry("corrector", "ocr.correctors"),
    "data": Registry("data source", "ocr.data_sources"),
    "finders": Registry("line finder", "ocr.line_finders"),
    "formats": Registry("output format", "ocr.output_formats"),
}

#: Packages that all of a kind take: they are not imported to find out that they are missing.
_NEEDED = {"network": ("mxnet",)}


def missing_of(registry: Registry, name: str) -> str:
    """Return the packages that something lacks here, or why it cannot be loaded; "" for nothing."""
    if packages := missing_packages(_NEEDED.get(registry.kind, ())):
        return f"needs {packages}"
    if registry.kind in _NEEDED:
        return ""
    try:
        entry = registry.get(name)
        needs = getattr(entry, "needs", ())
        packages = missing_packages(needs(entry.config_class()) if callable(needs) else needs)
    except ConfigError as error:
        return str(error)
    return packages and f"needs {packages}"


def settings_of_entry(entry, kind: str = "") -> list[Setting]:
    """Return the settings of what a name stands for, those included that all of a kind have."""
    cls = getattr(entry, "config_class", None)
    if cls and hasattr(entry, "defaults"):  # a network's preset
        return describe(from_mapping(cls, entry.defaults))
    found = describe(cls or entry, skip=("alphabet",))
    if kind == "data source":
        from ..data.sources import CommonOptions

        found += describe(CommonOptions)
    return found


def summary_of(entry) -> str:
    """Return the first sentence of what a name stands for says about itself."""
    entry = entry if inspect.isclass(entry) or inspect.isroutine(entry) else \
        getattr(entry, "network", type(entry))
    return (inspect.getdoc(entry) or "").partition("\n\n")[0].replace("\n", " ")
