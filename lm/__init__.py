"""Language models for the recogniser: n-grams, lexicons, confusions, noise."""

import importlib

_PUBLIC = {
    "NgramConfig": "ngram", "NgramModel": "ngram", "PerplexityReport": "ngram",
    "train_ngram": "ngram", "load_ngram": "ngram", "perplexity": "ngram", "max_order": "ngram",
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
