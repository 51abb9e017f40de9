"""Tell all settings: their types, defaults and what they mean.

Without NAME: those of an experiment, as in the YAML file of ocr train. NAME is a group of them
(training, data), one of them (training.epochs), or something that ocr list names, to tell its
options: a data source (data.options), a network (model.options), a decoder or a corrector; or a
command with settings of its own (serve, denoise-train).
"""

_REGISTRIES = (("data source", "ocr.data_sources"), ("network", "ocr.networks"),
               ("decoder", "ocr.decoders"), ("corrector", "ocr.correctors"))


def add_arguments(parser):
    parser.add_argument("name", nargs="?", metavar="NAME")


def run(arguments):
    from lm.base.settings import listed

    print("\n\n".join(f"{title}{listed(settings) or 'nothing to set'}"
                      for title, settings in _found(arguments.name)))


def _found(name):
    """Return (title, settings) of all that is called `name`."""
    from lm.base.command import make_parser
    from lm.base.errors import UnknownNameError, did_you_mean
    from lm.base.plugins import Registry
    from lm.base.settings import describe

    from ...checkpoints.settings import ExperimentConfig
    from . import COMMANDS

    settings = describe(ExperimentConfig)
    if name is None:
        return [("", settings)]
    if group := [s for s in settings if s.name == name or s.name.startswith(f"{name}.")]:
        return [("", group)]
    if name in COMMANDS:
        parser = make_parser("ocr", name, COMMANDS[name][0])
        return [("", describe(parser.settings()) if parser.settings else _options(parser))]
    registries = [Registry(kind, group) for kind, group in _REGISTRIES]
    found = [(f"{registry.kind} {name}\n\n", describe(_of(registry.get(name)), skip=("alphabet",)))
             for registry in registries if name in registry]
    if not found:
        known = [*COMMANDS, *(n for registry in registries for n in registry.names()),
                 *dict.fromkeys(s.name.partition(".")[0] for s in settings)]
        raise UnknownNameError(f"nothing is called {name!r}{did_you_mean(name, known)}; known: "
                               f"{', '.join(known)}")
    return found


def _of(entry):
    """Return what describes the settings of a registry's entry."""
    from lm.base.settings import from_mapping

    cls = getattr(entry, "config_class", entry)
    # A network's preset.
    return from_mapping(cls, entry.defaults) if hasattr(entry, "defaults") else cls


def _options(parser):
    """Return the settings that are a command's options."""
    from lm.base.settings import Setting

    return [Setting(name, "bool" if action.nargs == 0 else "", action.default, action.help or "")
            for name, action in parser.options().items()]
