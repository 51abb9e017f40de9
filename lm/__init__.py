"""Language models for the recogniser: n-grams, lexicons, confusions, noise."""

import importlib

_PUBLIC = {
    "NgramModel": "ngram", "load_ngram": "ngram",
    "NgramConfig": "training", "train_ngram": "training",
    "PerplexityReport": "scoring", "perplexity": "scoring",
    "PackedNgram": "packed", "pack_arpa": "packing",
    "InterpolationConfig": "interpolation", "interpolate": "interpolation",
    "Lexicon": "lexicon", "ConfusionModel": "confusions",
    "SamplingConfig": "sampling", "sample_text": "sampling",
    "SPACE_TOKEN": "corpus", "UNITS": "corpus", "tokenise": "corpus",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    # Resolved on first use, so that ``import lm`` stays quick.
    if name in _PUBLIC:
        return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
