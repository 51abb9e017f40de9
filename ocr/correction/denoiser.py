"""A trained denoiser: strings in, strings out."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from lm.base.errors import CheckpointError, ConfigError
from lm.base.settings import Range, Settings, from_mapping
from lm.normalisation import normalise

from ..base.backend import devices, gluon, mx, nd
from ..checkpoints.checkpoint import load_checkpoint
from ..decoding import build_decoder
from ..models.denoiser import DenoiserNetwork, collate_readings
from ..models.weights import load_weights
from ..text.alphabet import Alphabet
from ..text.ctc import frames_needed

__all__ = ["Denoiser", "DenoiserConfig", "OTHER", "denoiser_alphabet", "load_denoiser",
           "build_network"]

#: Stands for every character outside the alphabet.
OTHER = "\ufffd"


def denoiser_alphabet(texts):
    """Return the `Alphabet` of `texts` with `OTHER`, its replacement, at the end."""
    found = set().union(*(set(normalise(text)) for text in texts)) - {OTHER}
    return Alphabet([*sorted(found), OTHER], replacement=OTHER)


def build_network(config, alphabet):
    """Return the `DenoiserNetwork` of a `DenoiserConfig`, not initialised."""
    return DenoiserNetwork(alphabet.num_classes, config.embedding, config.hidden, config.layers,
                           config.dropout, config.upsample)


def load_denoiser(path):
    """Read a denoiser's checkpoint.

    Returns
    -------
    checkpoint : Checkpoint
    config : DenoiserConfig

    Raises
    ------
    CheckpointError
        Missing, cut short, or another network's (a recogniser's).
    """
    checkpoint = load_checkpoint(path)
    if "denoiser" not in checkpoint.config:
        raise CheckpointError(f"{path}: a recogniser's checkpoint, not a denoiser's")
    return checkpoint, from_mapping(DenoiserConfig, checkpoint.config["denoiser"])


#: A checkpoint is refused where it asks for more than any machine has.
_Size = Annotated[int, Range(1, 8192)]
_Whole = Annotated[int, Range(0)]
_Amount = Annotated[float, Range(0)]
_Share = Annotated[float, Range(0, 1)]
_Part = Annotated[float, Range(0, below=1)]


@dataclass(frozen=True)
class DenoiserConfig(Settings):
    """How a denoiser is trained; stored in its checkpoints.

    Attributes
    ----------
    output : str
        Folder of checkpoints and history.
    pairs, validation_pairs : tuple of str
        Files that ``ocr denoise-data`` wrote.
    corpus : tuple of str
        Text files to noise; without any, the pairs' own truths are noised.
    real_steps : int
        Steps on real pairs alone, at first.
    mixed_steps : int
        Steps after that, on real pairs and noised text.
    clean_share : float
        Share of noised text in these.
    minutes : float
        Time for all of it, 0 for no limit: where the steps would take longer, both phases and
        the learning rate's schedule are shortened to fit.
    batch_size : int
    learning_rate : float
        Peak of AdamW's, after `warmup_steps`; it falls as a cosine to `final_learning_rate`
        times the peak.
    final_learning_rate : float
    warmup_steps : int
    weight_decay, clip : float
        Decay of the weights; largest global gradient norm (0 for none).
    ema : float
        Decay of the moving average of the weights, which is what is validated and kept; 0 for
        none.
    embedding, hidden, layers, upsample : int
        See `DenoiserNetwork`.
    dropout : float
    max_length : int
        Longest window of clean text, in characters. Windows are as long as the pairs' truths.
    other_share : float
        Share of the examples in which one character is made unknown, so that the network
        learns to read on around such.
    validate_every : int
        Steps between validations, each of which also writes ``last.ckpt``.
    seed : int
    device : str
        As in `ocr.base.backend.devices`; the first device is used.
    """

    output: str
    pairs: tuple[str, ...]
    validation_pairs: tuple[str, ...]
    corpus: tuple[str, ...] = ()
    real_steps: _Whole = 2000
    mixed_steps: _Whole = 6000
    clean_share: _Share = 0.5
    minutes: _Amount = 0.0
    batch_size: Annotated[int, Range(1)] = 32
    learning_rate: Annotated[float, Range(above=0)] = 2e-3
    final_learning_rate: _Share = 0.02
    warmup_steps: _Whole = 200
    weight_decay: _Amount = 1e-4
    clip: _Amount = 5.0
    ema: _Part = 0.995
    embedding: _Size = 64
    hidden: _Size = 160
    layers: Annotated[int, Range(1, 200)] = 2
    dropout: _Part = 0.2
    upsample: Annotated[int, Range(1, 100)] = 2
    max_length: Annotated[int, Range(1)] = 80
    other_share: _Share = 0.02
    validate_every: Annotated[int, Range(1)] = 500
    seed: Annotated[int, Range(0, 2 ** 31 - 1)] = 1
    device: str = "cpu"

    def __post_init__(self):
        super().__post_init__()
        for name in ("output", "pairs", "validation_pairs"):
            if not getattr(self, name):
                raise ConfigError(f"denoiser: {name} must not be empty")
        if not self.total_steps:
            raise ConfigError("denoiser: real_steps and mixed_steps are both 0")

    @property
    def total_steps(self):
        """Steps of both phases."""
        return self.real_steps + self.mixed_steps


class Denoiser:
    """Corrects readings.

    Parameters
    ----------
    checkpoint : str
        File written by ``ocr denoise-train``.
    device : str
        As in `ocr.base.backend.devices`; the first device is used.

    Attributes
    ----------
    alphabet : Alphabet
        Its last character, `OTHER`, stands for all that the network does not know. Where a
        reading has one of these, `OTHER` goes in, comes out at the same place (the network
        cannot do otherwise) and is replaced by the very character again.
    batch_size : int
    """

    batch_size = 32

    def __init__(self, checkpoint, device="cpu"):
        stored, config = load_denoiser(checkpoint)
        context = devices(device)[0]
        net = build_network(config, stored.alphabet)
        net.initialize(ctx=context)
        load_weights(net, stored.weights, checkpoint)
        net.hybridize(static_alloc=True)
        self._set(net, stored.alphabet, context)

    @classmethod
    def of(cls, net, alphabet, context=None):
        """Wrap a network that is at hand."""
        denoiser = cls.__new__(cls)
        denoiser._set(net, alphabet, context or mx.cpu())
        return denoiser

    def _set(self, net, alphabet, context):
        self.net, self.alphabet, self._context = net, alphabet, context
        self._decoder = build_decoder("greedy", alphabet)
        self._loss = gluon.loss.CTCLoss(layout="NTC", label_layout="NT")

    def logits(self, texts):
        """Run the network.

        Parameters
        ----------
        texts : list of str

        Returns
        -------
        list of numpy.ndarray
            For each text its raw logits: float32, (frames, classes).
        """
        results = [None] * len(texts)
        for indices, lines in self._run([normalise(text) for text in texts]):
            for index, line in zip(indices, lines):
                results[index] = line
        return results

    def correct(self, texts):
        """Return what the network reads out of each of `texts`, by best path.

        Outer and repeated spaces are left out, as in every reading.
        """
        texts = [normalise(text) for text in texts]
        results = [None] * len(texts)
        for indices, lines in self._run(texts):
            for index, text in zip(indices, self.read([texts[i] for i in indices], lines)):
                results[index] = text
        return results

    def read(self, texts, logits):
        """Return the best paths of `logits`, which `texts` gave."""
        readings = []
        for text, [best] in zip(texts, self._decoder.decode(logits)):
            if OTHER in best.text:
                # In order, and as many: see DenoiserNetwork.
                others = iter([c for c in normalise(text) if c not in self.alphabet or c == OTHER])
                readings.append("".join(next(others) if c == OTHER else c for c in best.text))
            else:
                readings.append(best.text)
        return readings

    def log_likelihoods(self, logits, texts):
        """Log probability of each text under its logits, over all CTC paths.

        Parameters
        ----------
        logits : list of numpy.ndarray
            (frames, classes) each.
        texts : list of str

        Returns
        -------
        numpy.ndarray
            (N,), natural log; -inf for a text that needs more frames.
        """
        labels = [self.alphabet.encode(text, unknown="replace") for text in texts]
        results = np.full(len(texts), -np.inf)
        usable = []
        for index, (line, label) in enumerate(zip(logits, labels)):
            if not label:  # MXNet's loss of an empty label is 0
                top = line.max(axis=1)
                sums = np.log(np.exp(line - top[:, None]).sum(axis=1)) + top
                results[index] = (line[:, -1] - sums).sum()
            elif frames_needed(label) <= len(line):
                usable.append(index)
        usable.sort(key=lambda index: len(logits[index]))
        for start in range(0, len(usable), self.batch_size):
            chunk = usable[start:start + self.batch_size]
            lengths = [len(logits[i]) for i in chunk]
            padded = np.zeros((len(chunk), max(lengths), self.alphabet.num_classes), np.float32)
            targets = np.full((len(chunk), max(len(labels[i]) for i in chunk)), -1, np.float32)
            for row, target, i in zip(padded, targets, chunk):
                row[:len(logits[i])] = logits[i]
                target[:len(labels[i])] = labels[i]
            losses = self._loss(*(nd.array(a, ctx=self._context) for a in (
                padded, targets, lengths, [len(labels[i]) for i in chunk])))
            results[chunk] = -losses.asnumpy()
        return results

    def _run(self, texts):
        """Yield (positions, their logits), batches of similar length."""
        labels = [self.alphabet.encode(text, unknown="replace") for text in texts]
        order = sorted(range(len(texts)), key=lambda index: -len(labels[index]))
        for start in range(0, len(order), self.batch_size):
            chunk = order[start:start + self.batch_size]
            tokens, places, frames = collate_readings([labels[i] for i in chunk],
                                                      self.net.upsample, self.net.num_classes)
            logits = self.net(*(nd.array(a, ctx=self._context)
                                for a in (tokens, places, frames))).asnumpy()
            yield chunk, [line[:int(n)] for line, n in zip(logits, frames)]
