"""Beam search by pyctcdecode, alone and with a KenLM n-gram."""

import logging

from ..exceptions import DecodingError
from .base import DECODERS, LEAST_WORDS, Hypothesis, resolve
from .parallel import ParallelDecoder, merge_blanks
from .spans import spanned

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
        if len(usable) <= LEAST_WORDS * len(stored.unigrams):
            raise DecodingError(f"{stored.path}: a model of another alphabet: only {len(usable)} "
                                f"of its {len(stored.unigrams)} words can be written by this "
                                "recogniser")
        return LanguageModel(stored.scorer(), usable, alpha=float(config.alpha),
                             beta=float(config.beta),
                             unk_score_offset=float(config.unk_score_offset),
                             score_boundary=config.lm_score_boundary)

    def reconfigure(self, config):
        """Take other weights and widths without loading the language model anew."""
        super().reconfigure(config)
        if self._search._language_model is not None:
            self._search._language_model.reset_params(
                alpha=float(config.alpha), beta=float(config.beta),
                unk_score_offset=float(config.unk_score_offset))

    def _decode_one(self, line, n_best):
        if not len(line):
            return [Hypothesis("", 0.0, 1.0)]
        config = self.config
        scores, searched, dropped = merge_blanks(line, self.alphabet.blank, config.merge_blanks)
        beams = self._search.decode_beams(
            searched, beam_width=config.beam_width, beam_prune_logp=config.beam_prune_logp,
            token_min_logp=config.token_min_logp, hotword_weight=config.hotword_weight,
            hotwords=[w.translate(self._forward) for w in config.hotwords] or None)
        hypotheses, seen = [], set()
        for text, _, _, logit_score, score in beams:
            text = text.translate(self._back)
            if text not in seen:
                seen.add(text)
                hypotheses.append(spanned(text, scores, self.alphabet, float(score) + dropped,
                                          float(logit_score) + dropped))
            if len(hypotheses) == n_best:
                break
        return hypotheses


@DECODERS.register("beam")
class PlainBeamDecoder(BeamDecoder):
    """pyctcdecode's beam search without a language model."""


@DECODERS.register("beam-lm")
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
