"""Tell all settings: their types, defaults and what they mean.

Without NAME: those of an experiment, as in the YAML file of ocr train. NAME is a group of them
(training, data), one of them (training.epochs), or something that ocr list names, to tell its
options: a data source (data.options), a network (model.options), a decoder, a corrector, a
line finder or an output format; or a command with settings of its own (serve, denoise-train).
"""


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
    from lm.base.settings import describe

    from ...checkpoints.settings import ExperimentConfig
    from ..registries import REGISTRIES, settings_of_entry
    from . import COMMANDS

    settings = describe(ExperimentConfig)
    if name is None:
        return [("", settings)]
    if group := [s for s in settings if s.name == name or s.name.startswith(f"{name}.")]:
        return [("", group)]
    if name in COMMANDS:
        parser = make_parser("ocr", name, COMMANDS[name][0])
        return [("", describe(parser.settings()) if parser.settings else _options(parser))]
    found = [(f"{registry.kind} {name}\n\n", settings_of_entry(registry.get(name)))
             for registry in REGISTRIES.values() if name in registry]
    if not found:
        known = [*COMMANDS, *(n for registry in REGISTRIES.values() for n in registry.names()),
                 *dict.fromkeys(s.name.partition(".")[0] for s in settings)]
        raise UnknownNameError(f"nothing is called {name!r}{did_you_mean(name, known)}; known: "
                               f"{', '.join(known)}")
    return found


def _options(parser):
    """Return the settings that are a command's options."""
    from lm.base.settings import Setting

    return [Setting(name, "bool" if action.nargs == 0 else "", action.default, action.help or "")
            for name, action in parser.options().items()]
