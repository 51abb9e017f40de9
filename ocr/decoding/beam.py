"""Beam search by pyctcdecode, alone and with a KenLM n-gram."""

import logging
import multiprocessing

import numpy as np

from ..cores import available_cores
from ..exceptions import DecodingError
from .base import DECODERS, Decoder, Hypothesis, log_softmax, resolve
from .spans import align, character_spans, line_confidence, word_spans

__all__ = ["BeamDecoder"]

#: Decoders of worker processes, inherited by fork: the language model is never copied.
_INHERITED = {}

#: Fewer lines a process than this are not worth starting it.
_LINES_PER_WORKER = 4


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


class BeamDecoder(Decoder):
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
        from pyctcdecode import BeamSearchDecoderCTC
        from pyctcdecode.alphabet import Alphabet as Labels

        # It warns of every alphabet without a space and of every small word list.
        logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
        labels, self._back = _labels(alphabet)
        self._forward = str.maketrans({v: chr(k) for k, v in self._back.items()})
        self._search = BeamSearchDecoderCTC(
            Labels(labels, False), self._language_model(base) if with_lm else None)

    def _language_model(self, base):
        from pyctcdecode.language_model import LanguageModel

        from lm import load_ngram

        config = self.config
        if not config.lm:
            raise DecodingError("the decoder beam-lm needs a language model: name one made by "
                                "lm train")
        stored = load_ngram(resolve(config.lm, base))
        if stored.unit != "word":
            raise DecodingError(f"{stored.path}: a model of {stored.unit}s; the beam search "
                                "takes words")
        if stored.order < 2:
            raise DecodingError(f"{stored.path}: KenLM reads no model of order 1; train one of "
                                "order 2 or more")
        covered = set(self.alphabet.characters)
        usable = [w.translate(self._forward) for w in stored.unigrams if covered.issuperset(w)]
        if not usable:
            raise DecodingError(f"{stored.path}: none of the model's {len(stored.unigrams)} words "
                                "can be written with this alphabet")
        return LanguageModel(stored.scorer(), usable, alpha=float(config.alpha),
                             beta=float(config.beta),
                             unk_score_offset=float(config.unk_score_offset),
                             score_boundary=config.lm_score_boundary)

    def reweigh(self, alpha, beta, unk_score_offset):
        """Change the language model's weights without loading it anew."""
        self._search._language_model.reset_params(
            alpha=float(alpha), beta=float(beta), unk_score_offset=float(unk_score_offset))

    def _decode_lines(self, lines, n_best):
        workers = min(self.config.workers or available_cores(), len(lines) // _LINES_PER_WORKER)
        if workers <= 1 or "fork" not in multiprocessing.get_all_start_methods():
            return super()._decode_lines(lines, n_best)
        key = id(self)
        _INHERITED[key] = (self, lines, n_best)
        try:
            # Children inherit decoder, model and logits; only line numbers and results travel.
            with multiprocessing.get_context("fork").Pool(workers) as pool:
                chunk = max(1, len(lines) // (8 * workers))
                return pool.map(_decode_inherited, [(key, i) for i in range(len(lines))], chunk)
        finally:
            del _INHERITED[key]

    def _decode_one(self, line, n_best):
        if not len(line):
            return [Hypothesis("", 0.0, 1.0)]
        scores = log_softmax(line)
        config = self.config
        beams = self._search.decode_beams(
            scores, beam_width=config.beam_width, beam_prune_logp=config.beam_prune_logp,
            token_min_logp=config.token_min_logp)
        hypotheses, seen = [], set()
        for text, _, _, logit_score, score in beams:
            text = text.translate(self._back)
            if text not in seen:
                seen.add(text)
                hypotheses.append(self._hypothesis(text, scores, logit_score, score))
            if len(hypotheses) == n_best:
                break
        return hypotheses

    def _hypothesis(self, text, scores, logit_score, score):
        label = self.alphabet.encode(text)
        frames, _ = align(scores, label, self.alphabet.blank)
        characters = character_spans(scores, text, label, frames)
        return Hypothesis(text, float(score),
                          line_confidence(characters, scores, self.alphabet.blank), characters,
                          word_spans(characters), float(logit_score), float(score - logit_score))


def _decode_inherited(task):
    key, index = task
    decoder, lines, n_best = _INHERITED[key]
    return decoder._decode_one(np.asarray(lines[index]), n_best)


@DECODERS.register("beam")
def _beam(config, alphabet, base=None):
    return BeamDecoder(config, alphabet, base)


@DECODERS.register("beam-lm")
def _beam_lm(config, alphabet, base=None):
    return BeamDecoder(config, alphabet, base, with_lm=True)
