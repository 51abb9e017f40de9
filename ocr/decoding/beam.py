"""Beam search by pyctcdecode, alone and with a KenLM n-gram."""

import contextlib
import importlib.util
import logging
import os
import sys
from dataclasses import dataclass
from typing import Literal, Optional

from lm.base.errors import DecodingError

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

    def __init__(self, labels, model, words, config):
        from pyctcdecode import BeamSearchDecoderCTC
        from pyctcdecode.alphabet import Alphabet as Labels
        from pyctcdecode.language_model import LanguageModel

        # It warns of every alphabet without a space and of every small word list.
        logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
        self._model = model and LanguageModel(
            model.scorer(), words, score_boundary=config.lm_score_boundary)
        self.reconfigure(config)
        self._search = BeamSearchDecoderCTC(Labels(labels, False), self._model)

    def reconfigure(self, config):
        if self._model:
            self._model.reset_params(alpha=float(config.alpha), beta=float(config.beta),
                                     unk_score_offset=float(config.unk_score_offset))

    def decode_beams(self, scores, **options):
        return self._search.decode_beams(scores, **options)


class _CtcBeamDecoder:
    """ctc-beam-decoder's search: the same, in C++."""

    def __init__(self, labels, model, words, config):
        self._labels, self._model, self._words = labels, model, words
        self._weights = self._search = None
        self.reconfigure(config)

    def reconfigure(self, config):
        names = ("alpha", "beta", "unk_score_offset", "lm_score_boundary") if self._model else ()
        weights = {name: getattr(config, name) for name in names}
        if weights != self._weights:
            from ctc_beam_decoder import build_ctcdecoder

            options = dict(weights, kenlm_model_path=self._model.path,
                           unigrams=self._words) if self._model else {}
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


def _engine(name):
    """Return the class that `BeamConfig.engine` asks for."""
    if name == "auto":
        native = importlib.util.find_spec("ctc_beam_decoder") is not None
    else:
        native = name == "ctc-beam-decoder"
    return _CtcBeamDecoder if native else _Pyctcdecode


class PlainBeamDecoder(ParallelDecoder):
    """pyctcdecode's beam search."""

    config_class = BeamConfig

    def __init__(self, config, alphabet, base=None):
        super().__init__(config, alphabet, base)
        labels, self._back = _labels(alphabet)
        self._forward = str.maketrans({v: chr(k) for k, v in self._back.items()})
        self._search = _engine(config.engine)(labels, *self._language_model(), config)

    def _language_model(self):
        """Return (model, those of its words that can be written), or None for each."""
        return None, None

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
        if stored.order < 2:
            raise DecodingError(f"{stored.path}: KenLM reads no model of order 1; train one of "
                                "order 2 or more")
        covered = set(self.alphabet.characters)
        usable = [w.translate(self._forward) for w in stored.unigrams if covered.issuperset(w)]
        if len(usable) <= LEAST_WORDS * len(stored.unigrams):
            raise DecodingError(f"{stored.path}: a model of another alphabet: only {len(usable)} "
                                f"of its {len(stored.unigrams)} words can be written by this "
                                "recogniser")
        return stored, usable

    @classmethod
    def needs(cls, config):
        """Return the packages that can search, and the one that reads the model."""
        return (*super().needs(config), "kenlm|ctc_beam_decoder")
