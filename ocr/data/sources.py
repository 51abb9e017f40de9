"""Data sources by name: opening one, and what its options are."""

import os
from dataclasses import dataclass
from typing import Any

from lm.base.errors import ConfigError
from lm.base.plugins import Registry
from lm.base.settings import check_options

from ..text.alphabet import PRESETS, Alphabet
from .base import LineDataset

__all__ = ["DATASETS", "CommonOptions", "open_dataset", "list_datasets"]

#: Data sources by name; each is a function of typed keywords that returns a `LineDataset`.
DATASETS = Registry("data source", "ocr.data_sources")


@dataclass(frozen=True)
class CommonOptions:
    """Options that all data sources have.

    Attributes
    ----------
    alphabet : Alphabet or str
        Lines with characters outside it are left out and reported: a preset or a file of
        characters where it is a string. A file of ``ocr pack`` must have been packed with the
        same.
    check_images : bool
        Decode every image now, so that broken ones are reported at opening.
    """

    alphabet: Any = None
    check_images: bool = False

    def __post_init__(self):
        if not isinstance(self.alphabet, (str, Alphabet, type(None))):
            raise ConfigError(f"alphabet: expected a preset or a file, not {self.alphabet!r}")


def open_dataset(source: str, **options: Any) -> LineDataset:
    """Open a data source by its registered name.

    Parameters
    ----------
    source : str
        One of `list_datasets()`.
    **options
        Those of the source and the `CommonOptions`.

    Returns
    -------
    LineDataset

    Raises
    ------
    UnknownNameError
        No such source.
    ConfigError
        An option that the source does not have, or of another type; one that is missing.
    """
    function = DATASETS.get(source)
    options = {name: _plain(value) for name, value in options.items()}
    common = CommonOptions(**check_options(CommonOptions, {
        name: options.pop(name) for name in ("alphabet", "check_images") if name in options},
        source))
    dataset = function(**check_options(function, options, source))
    alphabet = common.alphabet
    if alphabet is not None:
        if isinstance(alphabet, str):
            alphabet = (Alphabet.preset(alphabet) if alphabet in PRESETS
                        else Alphabet.from_file(alphabet))
        dataset.restrict(alphabet)
    return dataset.drop_unreadable() if common.check_images else dataset


def _plain(value):
    """Return paths as strings, also those of a list."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def list_datasets() -> list[str]:
    """Return the names of the registered data sources."""
    return DATASETS.names()
