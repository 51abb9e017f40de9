"""A trained denoiser: strings in, strings out."""

from dataclasses import dataclass

import numpy as np

from lm.base.errors import CheckpointError, ConfigError
from lm.base.settings import from_mapping
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


@dataclass(frozen=True)
class DenoiserConfig:
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
    real_steps: int = 2000
    mixed_steps: int = 6000
    clean_share: float = 0.5
    minutes: float = 0.0
    batch_size: int = 32
    learning_rate: float = 2e-3
    final_learning_rate: float = 0.02
    warmup_steps: int = 200
    weight_decay: float = 1e-4
    clip: float = 5.0
    ema: float = 0.995
    embedding: int = 64
    hidden: int = 160
    layers: int = 2
    dropout: float = 0.2
    upsample: int = 2
    max_length: int = 80
    other_share: float = 0.02
    validate_every: int = 500
    seed: int = 1
    device: str = "cpu"

    def __post_init__(self):
        for name in ("output", "pairs", "validation_pairs"):
            if not getattr(self, name):
                raise ConfigError(f"denoiser: {name} must not be empty")
        for name in ("batch_size", "embedding", "hidden", "layers", "upsample", "max_length",
                     "validate_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"denoiser: {name} must be at least 1")
        for name in ("real_steps", "mixed_steps", "minutes", "warmup_steps", "weight_decay",
                     "clip"):
            if getattr(self, name) < 0:
                raise ConfigError(f"denoiser: {name} must not be negative")
        for name in ("clean_share", "final_learning_rate", "other_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"denoiser: {name} must lie in 0..1")
        if not 0 <= self.dropout < 1 or not 0 <= self.ema < 1:
            raise ConfigError("denoiser: dropout and ema must lie in 0..1, without 1")
        if not self.learning_rate > 0 or not 0 <= self.seed < 2 ** 31:
            raise ConfigError("denoiser: learning_rate must be positive and seed in 0..2^31")
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
