"""Beam search by pyctcdecode, alone and with a KenLM n-gram."""

import contextlib
import functools
import importlib.util
import logging
import os
import sys
from dataclasses import dataclass
from typing import Literal, Optional

from lm.base.errors import DecodingError
from lm.ngram import open_kenlm
from lm.normalisation import Normaliser

from .base import LEAST_WORDS, resolve
from .parallel import (
    Bonus,
    LogProbability,
    ParallelDecoder,
    SearchConfig,
    Weight,
    merge_blanks,
)

__all__ = ["BeamConfig", "PlainBeamDecoder", "WordBeamConfig", "WordBeamDecoder"]


@dataclass(frozen=True)
class BeamConfig(SearchConfig):
    """Settings of the decoder "beam".

    Attributes
    ----------
    engine : {"auto", "pyctcdecode", "ctc-beam-decoder"}
        What searches: pyctcdecode, or the package ctc-beam-decoder, which does the same in C++;
        auto takes the latter where it is installed.
    """

    engine: Literal["auto", "pyctcdecode", "ctc-beam-decoder"] = "auto"


@dataclass(frozen=True)
class WordBeamConfig(BeamConfig):
    """Settings of the decoder "beam-lm".

    Attributes
    ----------
    lm : str or None
        Model of words: NAME, NAME.arpa or NAME.bin as ``lm train`` writes them, the word list
        beside.
    alpha : float
        Weight of the model.
    beta : float
        Bonus for each word.
    unk_score_offset : float
        Penalty for a word that the model does not list.
    lm_score_boundary : bool
        Whether a line begins and ends a sentence for the model.
    """

    lm: Optional[str] = None
    alpha: Weight = 0.5
    beta: Bonus = 1.0
    unk_score_offset: LogProbability = -5.0
    lm_score_boundary: bool = True


def _labels(alphabet):
    """Labels for pyctcdecode: blank "", and private code points for what it would misread.

    It takes `|` for a space where there is none, whitespace of any kind for a word's end and
    `▁` for a sign of word pieces.
    """
    taken = set(alphabet.characters)
    private = (chr(code) for code in range(0xE000, 0xF900) if chr(code) not in taken)
    labels, back = [], {}
    for character in alphabet.characters:
        label = character
        if character in "▁⁇|" or (character.isspace() and character != " "):
            label = next(private)
            back[ord(label)] = character
        labels.append(label)
    return labels + [""], back


class _Pyctcdecode:
    """pyctcdecode's search."""

    def __init__(self, labels, model, config):
        from pyctcdecode import BeamSearchDecoderCTC
        from pyctcdecode.alphabet import Alphabet as Labels

        # It warns of every alphabet without a space and of every small word list.
        logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
        self._model = model and _scored_as_written(model, config)
        self.reconfigure(config)
        self._search = BeamSearchDecoderCTC(Labels(labels, False), self._model)

    def reconfigure(self, config):
        if self._model:
            self._model.reset_params(alpha=float(config.alpha), beta=float(config.beta),
                                     unk_score_offset=float(config.unk_score_offset))

    def decode_beams(self, scores, **options):
        return self._search.decode_beams(scores, **options)


def _scored_as_written(words, config):
    """Return pyctcdecode's language model, which is asked for words as its corpus writes them."""
    from pyctcdecode.language_model import LanguageModel

    written = functools.lru_cache(maxsize=100_000)(words.written)

    class Model(LanguageModel):
        def score(self, prev_state, word, is_last_word=False):
            return super().score(prev_state, written(word), is_last_word)

        def score_partial_token(self, partial_token):
            return super().score_partial_token(written(partial_token))

    return Model(open_kenlm(words.stored.kenlm_path), words.usable,
                 score_boundary=config.lm_score_boundary)


class _CtcBeamDecoder:
    """ctc-beam-decoder's search: the same, in C++."""

    def __init__(self, labels, model, config):
        self._labels, self._model = labels, model
        self._unigrams = model and [word.translate(model.forward) for word in model.usable]
        self._weights = self._search = None
        self.reconfigure(config)

    def reconfigure(self, config):
        names = ("alpha", "beta", "unk_score_offset", "lm_score_boundary") if self._model else ()
        weights = {name: getattr(config, name) for name in names}
        if weights != self._weights:
            from ctc_beam_decoder import build_ctcdecoder

            options = dict(weights, kenlm_model_path=self._model.stored.kenlm_path,
                           unigrams=self._unigrams) if self._model else {}
            with _quiet():
                self._search = build_ctcdecoder(self._labels, **options)
            self._weights = weights

    def decode_beams(self, scores, **options):
        return self._search.decode_beams(scores, **options)


@contextlib.contextmanager
def _quiet():
    """Keep what C++ code says (KenLM: that binaries load faster) off standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _Words:
    """A model of words, and how what the search writes stands in it.

    Attributes
    ----------
    stored : lm.NgramModel
    usable : list of str
        Those of its words that can be written with the alphabet, as the model has them.
    forward : dict
        From the alphabet's characters to the search's labels, for `str.translate`.
    """

    def __init__(self, stored, alphabet, forward, back):
        self.stored, self.forward, self._back = stored, forward, back
        self._normaliser = Normaliser(stored.normalise)
        covered = set("".join(map(self._normaliser, alphabet.characters)))
        self.usable = [word for word in stored.unigrams if covered.issuperset(word)]

    def written(self, word):
        """Return a word of the search as the model's corpus writes it."""
        return self._normaliser(word.translate(self._back))


def _engine(name, words):
    """Return the class that `BeamConfig.engine` asks for."""
    rules = words and words.stored.normalise
    if name == "auto":
        native = importlib.util.find_spec("ctc_beam_decoder") is not None and not (
            rules and importlib.util.find_spec("pyctcdecode"))
    else:
        native = name == "ctc-beam-decoder"
    if native and rules:
        raise DecodingError(f"{words.stored.path}: its text was normalised ({', '.join(rules)}), "
                            "which ctc-beam-decoder cannot do to a reading; the engine pyctcdecode "
                            "can (pip install pyctcdecode)")
    return _CtcBeamDecoder if native else _Pyctcdecode


class PlainBeamDecoder(ParallelDecoder):
    """pyctcdecode's beam search."""

    config_class = BeamConfig

    def __init__(self, config, alphabet, base=None):
        super().__init__(config, alphabet, base)
        labels, self._back = _labels(alphabet)
        self._forward = str.maketrans({v: chr(k) for k, v in self._back.items()})
        model = self._language_model()
        self._search = _engine(config.engine, model)(labels, model, config)

    def _language_model(self):
        """Return the `_Words` that the search asks, or None."""
        return None

    @classmethod
    def needs(cls, config):
        """Return the packages that can search."""
        return ("pyctcdecode|ctc_beam_decoder" if config.engine == "auto"
                else config.engine.replace("-", "_"),)

    def reconfigure(self, config):
        """Take other weights and widths; the language model stays."""
        super().reconfigure(config)
        self._search.reconfigure(config)

    def _readings(self, scores, n_best):
        config = self.config
        searched, dropped = merge_blanks(scores, self.alphabet.blank, config.merge_blanks)
        beams = self._search.decode_beams(
            searched, beam_width=config.beam_width, beam_prune_logp=config.beam_prune_logp,
            token_min_logp=config.token_min_logp, hotword_weight=config.hotword_weight,
            hotwords=[w.translate(self._forward) for w in config.hotwords] or None)
        readings = {}
        for text, _, _, logit_score, score in beams:
            readings.setdefault(text.translate(self._back), (float(score), float(logit_score)))
            if len(readings) == n_best:
                break
        return [(text, score + dropped, logit_score + dropped)
                for text, (score, logit_score) in readings.items()]


class WordBeamDecoder(PlainBeamDecoder):
    """pyctcdecode's beam search with a KenLM model of words."""

    config_class = WordBeamConfig
    paths = ("lm",)
    tunable = {"alpha": ((0.0, 0.2, 0.4, 0.6, 0.9), 0.2, 0.0, 3.0),
               "beta": ((0.0, 0.5, 1.5, 3.0), 0.7, -3.0, 8.0),
               "unk_score_offset": ((0.0, -2.0, -6.0), 1.5, -20.0, 0.0)}

    def _language_model(self):
        from lm import load_ngram

        if not self.config.lm:
            raise DecodingError("the decoder beam-lm needs a language model: name one made by "
                                "lm train")
        stored = load_ngram(resolve(self.config.lm, self.base))
        if stored.unit != "word":
            raise DecodingError(f"{stored.path}: a model of {stored.unit}s; the beam search "
                                "takes words")
        if stored.kenlm_path is None:
            raise DecodingError(f"{stored.path}: beam-lm searches with KenLM, which reads the "
                                "model's .bin or .arpa file; put one beside it")
        if stored.order < 2:
            raise DecodingError(f"{stored.path}: KenLM reads no model of order 1; train one of "
                                "order 2 or more")
        words = _Words(stored, self.alphabet, self._forward, self._back)
        if len(words.usable) <= LEAST_WORDS * len(stored.unigrams):
            raise DecodingError(f"{stored.path}: a model of another alphabet: only "
                                f"{len(words.usable)} of its {len(stored.unigrams)} words can be "
                                "written by this recogniser")
        return words

    @classmethod
    def needs(cls, config):
        """Return the packages that can search, and the one that reads the model."""
        return (*super().needs(config), "kenlm|ctc_beam_decoder")
