"""Tell all settings: their types, defaults and what they mean.

Without NAME: those of an experiment, as in the YAML file of ocr train. NAME is a group of them
(training, data), one of them (training.epochs), or something that ocr list names, to tell its
options: a data source (data.options), a network (model.options), a decoder, a corrector, a
line finder or an output format; a recipe, whose file is shown; or a command with settings of its
own (serve, denoise-train).
"""


def add_arguments(parser):
    parser.add_argument("name", nargs="?", metavar="NAME")


def run(arguments):
    print("\n\n".join(_found(arguments.name)))


def _found(name):
    """Return texts on all that is called `name`."""
    from lm.base.command import make_parser
    from lm.base.errors import UnknownNameError, did_you_mean
    from lm.base.files import read_text
    from lm.base.settings import describe, listed

    from ...checkpoints.settings import ExperimentConfig
    from ...recipes import list_recipes, recipe_path
    from ..registries import REGISTRIES, settings_of_entry
    from . import COMMANDS

    settings = describe(ExperimentConfig)
    if name is None:
        return [listed(settings)]
    if group := [s for s in settings if s.name == name or s.name.startswith(f"{name}.")]:
        return [listed(group)]
    if name in COMMANDS:
        parser = make_parser("ocr", name, COMMANDS[name][0])
        return [listed(describe(parser.settings()) if parser.settings else _options(parser))]
    found = [f"{registry.kind} {name}\n\n"
             + (listed(settings_of_entry(registry.get(name), registry.kind)) or "nothing to set")
             for registry in REGISTRIES.values() if name in registry]
    if name in list_recipes():
        found.append(f"recipe {name}\n\n{read_text(recipe_path(name)).rstrip()}")
    if not found:
        known = [*COMMANDS, *dict.fromkeys(s.name.partition(".")[0] for s in settings),
                 *list_recipes(), *(n for r in REGISTRIES.values() for n in r.names())]
        raise UnknownNameError(f"nothing is called {name!r}{did_you_mean(name, known)}; known: "
                               f"{', '.join(known)}")
    return found


def _options(parser):
    """Return the settings that are a command's options."""
    from lm.base.settings import Setting

    return [Setting(name, "bool" if action.nargs == 0 else "", action.default, action.help or "")
            for name, action in parser.options().items()]
