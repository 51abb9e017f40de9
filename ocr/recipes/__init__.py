"""Settings of experiments that come with the library: ``ocr train --config NAME``."""

import os

from lm.base.errors import UnknownNameError, did_you_mean

__all__ = ["list_recipes", "recipe_path"]

_FOLDER, _SUFFIX = os.path.dirname(os.path.abspath(__file__)), ".yaml"


def list_recipes() -> list[str]:
    """Return the names of the recipes."""
    return sorted(name[:-len(_SUFFIX)] for name in os.listdir(_FOLDER) if name.endswith(_SUFFIX))


def recipe_path(config: str) -> str:
    """Return the YAML file of an experiment's settings.

    Parameters
    ----------
    config : str
        Path of a file, or name of a recipe.

    Raises
    ------
    UnknownNameError
        Neither; the recipes are listed.
    """
    names = list_recipes()
    if config in names and not os.path.isfile(config):
        return os.path.join(_FOLDER, config + _SUFFIX)
    if not os.path.exists(config):
        raise UnknownNameError(f"{config}: neither a file of settings nor a recipe"
                               f"{did_you_mean(config, names)}; recipes: {', '.join(names)}")
    return config
