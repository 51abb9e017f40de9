"""List what can be chosen by name: what comes with ocr, and what other packages add.

Without KIND: the names, and in brackets what something lacks here. With KIND: what each is, and its
settings (ocr settings NAME tells those of one).
"""

from ..registries import REGISTRIES, missing_of, settings_of_entry, summary_of

#: What has no settings -> (module, what lists the names).
_NAMES = {"recipes": ("ocr.recipes", "list_recipes"),
          "shipped": ("ocr.checkpoints.shipped", "list_shipped"),
          "alphabets": ("ocr.text.alphabet", "PRESETS")}


def add_arguments(parser):
    parser.add_argument("kinds", nargs="*", metavar="KIND",
                        help=f"{', '.join((*_NAMES, *REGISTRIES))} (default: all, by name alone)")


def run(arguments):
    from lm.base.errors import UnknownNameError, did_you_mean

    known = (*_NAMES, *REGISTRIES)
    for kind in arguments.kinds:
        if kind not in known:
            raise UnknownNameError(f"unknown kind {kind!r}{did_you_mean(kind, known)}; known: "
                                   f"{', '.join(known)}")
    for kind in arguments.kinds or known:
        if kind in _NAMES:
            print(f"{kind}: {', '.join(_names(kind))}")
        elif not arguments.kinds:
            print(f"{kind}: {', '.join(_told(REGISTRIES[kind], n) for n in _names(kind))}")
        else:
            for name in _names(kind):
                _print_one(REGISTRIES[kind], name)


def _names(kind):
    from importlib import import_module

    if kind in REGISTRIES:
        return REGISTRIES[kind].names()
    module, function = _NAMES[kind]
    names = getattr(import_module(module), function)
    return sorted(names() if callable(names) else names)


def _told(registry, name):
    missing = missing_of(registry, name)
    return f"{name} ({missing})" if missing else name


def _print_one(registry, name):
    from lm.base.errors import ConfigError
    from lm.base.settings import listed

    print(_told(registry, name))
    try:
        entry = registry.get(name)
    except ConfigError:
        return
    rows = [summary_of(entry), *listed(settings_of_entry(entry, registry.kind), 96).splitlines()]
    print("".join(f"    {row}\n" for row in rows))
