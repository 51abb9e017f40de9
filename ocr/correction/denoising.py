"""Correction by a denoiser: a network that learned what a recogniser misreads."""

import math
import os
import threading
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from lm.base.errors import ConfigError, MissingDataError
from lm.base.settings import Settings

from ..decoding.base import resolve
from ..decoding.parallel import Weight
from .base import Corrector, Share, retext

__all__ = ["DenoiseConfig", "DenoisingCorrector"]

#: Lines whose logits are held at once.
_CHUNK = 256
#: Texts whose corrections are remembered.
_REMEMBERED = 200_000


@dataclass(frozen=True)
class DenoiseConfig(Settings):
    """Settings of the corrector "denoise".

    Attributes
    ----------
    model : str
        Checkpoint of a denoiser (``ocr denoise-train``).
    max_confidence : float
        0..1; only words that the recogniser is no surer of are touched. 0 leaves all as it was.
        Plain strings come with 0.5.
    margin : float
        How much more probable (natural log) the denoiser must find a line with a change.
    weight : float
        Of the recogniser's own view: for a word of confidence c the margin grows by `weight`
        times log(c / (1 - c)).
    """

    model: str = ""
    weight: Weight = 0.0
    margin: float = 0.0
    max_confidence: Share = 1.0


class DenoisingCorrector(Corrector):
    """Takes over what a denoiser would write, word by word.

    Reading and proposal are aligned by characters and cut where a space stands in both. Of
    the stretches that differ each is judged alone: by the lowest confidence of its words, and
    by how much more probable the denoiser finds the reading with it than without. A stretch
    with characters outside the recogniser's alphabet that the reading does not have there is
    not taken.

    Only the best hypothesis is corrected; the others follow, without repetitions.

    Parameters
    ----------
    config : DenoiseConfig
    base, alphabet
        See `Corrector`.

    Raises
    ------
    ConfigError
        No model is named.
    MissingDataError
        The model is not there.
    CheckpointError
        When first used: the file is no denoiser's.
    """

    config_class = DenoiseConfig
    paths = ("model",)
    packages = ("mxnet",)
    tunable = {"max_confidence": ((0.0, 0.5, 0.8, 0.95, 1.0), 0.1, 0.0, 1.0),
               "margin": ((0.0, 2.0, 5.0), 1.0, -4.0, 12.0),
               "weight": ((0.0, 0.5, 1.0), 0.25, 0.0, 4.0)}

    def __init__(self, config, base=None, alphabet=None):
        super().__init__(config, base, alphabet)
        if not config.model:
            raise ConfigError("denoise needs a denoiser: name its checkpoint in the setting model")
        self._path = resolve(config.model, base)
        if not os.path.isfile(self._path):
            raise MissingDataError(f"{self._path}: no such denoiser")
        self._denoiser, self._changes, self._lock = None, {}, threading.Lock()

    def reconfigure(self, config):
        """Take other weights; the model must stay the same.

        Raises
        ------
        ConfigError
            Another model.
        """
        if config.model != self.config.model:
            raise ConfigError("denoise: another model takes another corrector, not other weights")
        super().reconfigure(config)

    def correct(self, lines):
        """Correct a batch; see `Corrector.correct`."""
        if not self.config.max_confidence:
            return lines
        self._changes_of({line[0].text for line in lines if line})
        return super().correct(lines)

    def correct_line(self, hypotheses):
        """Correct one line's hypotheses (at least one)."""
        best = hypotheses[0]
        if not self.config.max_confidence:
            return hypotheses
        text, end = [], 0
        for start, stop, new, gain in self._changes_of({best.text})[best.text]:
            if self._takes(_confidence(best, start, stop), best.text[start:stop], new, gain):
                text += [best.text[end:start], new]
                end = stop
        if not text:
            return hypotheses
        corrected = retext(best, "".join([*text, best.text[end:]]))
        return [corrected, *(h for h in hypotheses[1:] if h.text != corrected.text)]

    def _takes(self, confidence, old, new, gain):
        config = self.config
        if confidence > config.max_confidence:
            return False
        if self.alphabet is not None and any(c not in self.alphabet for c in set(new) - set(old)):
            return False
        sure = min(max(confidence, 1e-4), 1 - 1e-4)
        return gain > config.margin + config.weight * math.log(sure / (1 - sure))

    def _changes_of(self, texts):
        """Return {text: what the denoiser would change there}, which depends on no weight."""
        # A network's buffers are its own, whichever thread calls it.
        with self._lock:
            if len(self._changes) > _REMEMBERED:
                self._changes = {}
            if missing := texts - self._changes.keys():
                self._prepare(missing)
            return {text: self._changes[text] for text in texts}

    def _prepare(self, texts):
        if self._denoiser is None:
            from .denoiser import Denoiser

            self._denoiser = Denoiser(self._path)
        # Lines of similar length share a batch.
        ordered = sorted(texts, key=lambda text: (len(text), text))
        for start in range(0, len(ordered), _CHUNK):
            self._prepare_chunk(ordered[start:start + _CHUNK])

    def _prepare_chunk(self, texts):
        logits = self._denoiser.logits(texts)
        found, variants, theirs = [], [], []
        for text, line, proposal in zip(texts, logits, self._denoiser.read(texts, logits)):
            stretches = _stretches(text, proposal)
            found.append(stretches)
            if stretches:
                variants += [text, *(text[:i] + new + text[j:] for i, j, new in stretches)]
                theirs += [line] * (1 + len(stretches))
        scores = iter(self._denoiser.log_likelihoods(theirs, variants).tolist())
        for text, stretches in zip(texts, found):
            unchanged = next(scores) if stretches else 0.0
            self._changes[text] = tuple((*stretch, _gain(next(scores), unchanged))
                                        for stretch in stretches)


def _gain(changed, unchanged):
    # A reading that the network cannot put out at all loses to what it can.
    return changed - unchanged if changed > -math.inf else -math.inf


def _stretches(old, new):
    """Return (start, end, new text) of what differs between the spaces common to both."""
    cuts, found = [], []
    for block in Levenshtein.opcodes(old, new):
        if block.tag == "equal":
            cuts += [(block.src_start + n, block.dest_start + n)
                     for n, c in enumerate(old[block.src_start:block.src_end]) if c == " "]
    i = k = 0
    for j, m in (*cuts, (len(old), len(new))):
        if old[i:j] != new[k:m]:
            found.append((i, j, new[k:m]))
        i, k = j + 1, m + 1
    return found


def _confidence(hypothesis, start, end):
    """Lowest confidence of the words in text[start:end]; the line's where it has none."""
    words = hypothesis.words
    if [word.text for word in words] != _words(hypothesis.text):
        return hypothesis.confidence
    first = len(_words(hypothesis.text[:start]))
    count = len(_words(hypothesis.text[start:end]))
    return min((word.confidence for word in words[first:first + count]),
               default=hypothesis.confidence)


def _words(text):
    return [word for word in text.split(" ") if word]
