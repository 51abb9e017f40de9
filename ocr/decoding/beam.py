"""Beam search by pyctcdecode, alone and with a KenLM n-gram."""

import contextlib
import importlib.util
import logging
import os
import sys

from lm.base.errors import DecodingError

from .base import LEAST_WORDS, resolve
from .parallel import ParallelDecoder, merge_blanks

__all__ = ["BeamDecoder", "PlainBeamDecoder", "WordBeamDecoder"]

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
        weights = (config.alpha, config.beta, config.unk_score_offset, config.lm_score_boundary)
        if self._search is None or (self._model and weights != self._weights):
            from ctc_beam_decoder import build_ctcdecoder

            options = {}
            if self._model:
                names = ("alpha", "beta", "unk_score_offset", "lm_score_boundary")
                options = dict(zip(names, weights), kenlm_model_path=self._model.path,
                               unigrams=self._words)
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
    """Return the class that `DecoderConfig.engine` asks for."""
    if name == "pyctcdecode":
        return _Pyctcdecode
    if importlib.util.find_spec("ctc_beam_decoder"):
        return _CtcBeamDecoder
    if name == "auto":
        return _Pyctcdecode
    raise DecodingError("the engine ctc-beam-decoder is not installed; "
                        "pip install ctc-beam-decoder")


class BeamDecoder(ParallelDecoder):
    """pyctcdecode's beam search.

    Parameters
    ----------
    config : DecoderConfig
    alphabet : Alphabet
    base : str, optional
        Folder that relative language-model paths start from.
    with_lm : bool
    """

    def __init__(self, config, alphabet, base=None, with_lm=False):
        super().__init__(config, alphabet)
        labels, self._back = _labels(alphabet)
        self._forward = str.maketrans({v: chr(k) for k, v in self._back.items()})
        model, words = self._language_model(base) if with_lm else (None, None)
        self._search = _engine(config.engine)(labels, model, words, config)

    def _language_model(self, base):
        """Return (model, those of its words that can be written)."""
        from lm import load_ngram

        if not self.config.lm:
            raise DecodingError("the decoder beam-lm needs a language model: name one made by "
                                "lm train")
        stored = load_ngram(resolve(self.config.lm, base))
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

    @staticmethod
    def needs(config):
        """Return the packages that can search."""
        return ("pyctcdecode|ctc_beam_decoder",)

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


class PlainBeamDecoder(BeamDecoder):
    """pyctcdecode's beam search without a language model."""


class WordBeamDecoder(BeamDecoder):
    """pyctcdecode's beam search with a KenLM model of words."""

    def __init__(self, config, alphabet, base=None):
        super().__init__(config, alphabet, base, with_lm=True)

    @staticmethod
    def tunable_of(config):
        """Weights of the language model."""
        return {"alpha": ((0.0, 0.2, 0.4, 0.6, 0.9), 0.2, 0.0, 3.0),
                "beta": ((0.0, 0.5, 1.5, 3.0), 0.7, -3.0, 8.0),
                "unk_score_offset": ((0.0, -2.0, -6.0), 1.5, -20.0, 0.0)}
