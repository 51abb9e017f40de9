"""The denoiser's network: characters in, CTC logits out, copying unless it learns better."""

import numpy as np

from lm.base.errors import ModelError

from ..base.backend import gluon, mx, nn
from .recurrent import BiLSTM

__all__ = ["DenoiserNetwork", "frame_count", "collate_readings"]

#: What the copy biases start from: an untrained network copies.
COPY = 6.0
#: Added to and taken from logits that must win or lose.
_FORCE = 100.0
#: Frames of a batch are rounded up to this, so that few distinct shapes are compiled.
_FRAME_STEP = 16


def frame_count(length, upsample):
    """Return the number of frames of a reading of `length` characters."""
    return upsample * length + 2


def collate_readings(labels, upsample, num_classes):
    """Turn encoded readings into the network's inputs.

    Parameters
    ----------
    labels : list of list of int
    upsample : int
    num_classes : int
        Characters + blank.

    Returns
    -------
    tokens, places : numpy.ndarray
        float32, (N, T): the class of each frame's character, and which of its frames it is;
        the blank and `upsample` at either end and beyond it.
    frames : numpy.ndarray
        float32, (N,).
    """
    frames = np.array([frame_count(len(label), upsample) for label in labels], np.float32)
    total = -(-int(frames.max()) // _FRAME_STEP) * _FRAME_STEP
    tokens = np.full((len(labels), total), num_classes - 1, np.float32)
    places = np.full((len(labels), total), upsample, np.float32)
    for token, place, label in zip(tokens, places, labels):
        end = 1 + upsample * len(label)
        token[1:end] = np.repeat(label, upsample)
        place[1:end] = np.tile(np.arange(upsample), len(label))
    return tokens, places, frames


class DenoiserNetwork(gluon.HybridBlock):
    """Embedded characters, BiLSTMs, a dense layer and a copy bias.

    Each character of a reading has `upsample` frames, and there is one more at either end, so
    that CTC can insert. A learned bias is added to the logit of what copying would put out:
    the character on its first frame, the blank on the others. It has one value a class, so
    that the network can trust some characters more than others.

    The last character of the alphabet stands for all that are not in it. It wins on the first
    frame of such a character and loses on all others, so that exactly these come out.

    Parameters
    ----------
    num_classes : int
        Characters (the last: any other) + blank.
    embedding, hidden, layers : int
        Sizes; `hidden` is a direction's.
    dropout : float
    upsample : int
        Frames of a character.

    Notes
    -----
    Called with what `collate_readings` gives, gives logits (N, T, num_classes). A line's are
    the same alone and padded in a batch.
    """

    def __init__(self, num_classes, embedding=64, hidden=160, layers=2, dropout=0.2, upsample=2,
                 **kwargs):
        super().__init__(**kwargs)
        if num_classes < 3:
            raise ModelError("a denoiser needs at least one character, any other and the blank")
        self.num_classes, self.upsample = num_classes, upsample
        with self.name_scope():
            self.character = nn.Embedding(num_classes, embedding)
            self.place = nn.Embedding(upsample + 1, embedding)
            self.encoder = nn.HybridSequential()
            for layer in range(layers):
                self.encoder.add(BiLSTM(hidden, 2 * hidden if layer else embedding))
            self.drop = nn.Dropout(dropout)
            self.output = nn.Dense(num_classes, flatten=False, in_units=2 * hidden)
            self.copy_bias = self.params.get("copy_bias", shape=(num_classes,),
                                             init=mx.init.Constant(COPY))

    def hybrid_forward(self, F, tokens, places, frames, copy_bias):
        blank, other = self.num_classes - 1, self.num_classes - 2
        x = F.transpose(self.character(tokens) + self.place(places), axes=(1, 0, 2))
        for bilstm in self.encoder:
            x = bilstm(self.drop(x), frames)
        logits = F.transpose(self.output(self.drop(x)), axes=(1, 0, 2))
        copies = F.where(places == 0, tokens, F.ones_like(tokens) * blank)
        logits = logits + F.broadcast_mul(F.one_hot(copies, self.num_classes),
                                          F.reshape(copy_bias, shape=(1, 1, -1)))
        forced = F.one_hot(F.ones_like(tokens) * other, self.num_classes)
        sign = F.expand_dims(2 * _FORCE * (copies == other) - _FORCE, axis=2)
        return logits + F.broadcast_mul(forced, sign)
