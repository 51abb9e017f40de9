"""List what can be chosen by name."""


def add_arguments(parser):
    parser.add_argument("kind", nargs="?", default="all",
                        choices=("all", "recipes", "models", "shipped", "decoders", "correctors",
                                 "data", "alphabets"))


def run(arguments):
    from ...checkpoints.shipped import list_shipped
    from ...correction import list_correctors
    from ...data import list_datasets
    from ...decoding import list_decoders
    from ...recipes import list_recipes
    from ...text.alphabet import PRESETS

    kinds = {"recipes": list_recipes, "data": list_datasets, "alphabets": lambda: sorted(PRESETS),
             "decoders": list_decoders, "correctors": list_correctors, "models": _models,
             "shipped": list_shipped}
    wanted = kinds if arguments.kind == "all" else (arguments.kind,)
    for kind in wanted:
        print(f"{kind}: {', '.join(kinds[kind]())}")


def _models():
    from ...models import list_models

    return list_models()
