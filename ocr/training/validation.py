"""Reading the validation lines, batch by batch, with the network as it is."""

import time
from dataclasses import dataclass

import numpy as np

from ..base.backend import gluon, mx, nd
from ..batching import PreparedLines, evaluation_batches
from ..decoding import Decoder
from ..text.alphabet import Alphabet
from ..text.ctc import frames_needed
from ..text.metrics import TextMetric

__all__ = ["Validation", "ctc_loss", "validate"]


def ctc_loss() -> gluon.loss.CTCLoss:
    """Return the loss: called with logits (N, T, C), labels, frames and label lengths."""
    return gluon.loss.CTCLoss(layout="NTC", label_layout="NT")


@dataclass(frozen=True)
class Validation:
    """Scores of lines read.

    Attributes
    ----------
    cer, wer : float
    loss : float
        Mean CTC loss of the lines that are feasible and within the alphabet; NaN without any.
    lines_per_second : float
    readings : list of str
        Those of the first lines.
    """

    cer: float
    wer: float
    loss: float
    lines_per_second: float
    readings: list


def validate(net: gluon.HybridBlock, prepared: PreparedLines, decoder: Decoder, alphabet: Alphabet,
             batch_size: int, context: mx.Context, workers: int = 1, shown: int = 1) -> Validation:
    """Read and score lines; no more than a batch of logits is held at a time.

    Parameters
    ----------
    net : mxnet.gluon.HybridBlock
    prepared : PreparedLines
    decoder : Decoder
    alphabet : Alphabet
    batch_size : int
    context : mxnet.Context
    workers : int
        Threads that prepare batches.
    shown : int
        Readings to return.

    Returns
    -------
    Validation
    """
    samples, loss, metric = prepared.dataset.samples, ctc_loss(), TextMetric()
    readings, losses, began = {}, [], time.monotonic()
    for batch in evaluation_batches(prepared, batch_size, workers):
        net.check_input(batch.images.shape)
        images, widths = nd.array(batch.images, ctx=context), nd.array(batch.widths, ctx=context)
        logits, frames = net(images, widths)[:2]
        texts = [samples[index].text for index in batch.indices]
        lengths = frames.asnumpy().astype(int)
        losses += _losses(loss, logits, lengths, texts, alphabet)
        logits = logits.asnumpy()
        found = decoder.decode([row[:length] for row, length in zip(logits, lengths)])
        for index, text, hypotheses in zip(batch.indices, texts, found):
            metric.update(text, hypotheses[0].text)
            if index < shown:
                readings[index] = hypotheses[0].text
    seconds = time.monotonic() - began
    summary = metric.summary(bootstrap=0)
    return Validation(summary.cer, summary.wer, float(np.mean(losses)) if losses else float("nan"),
                      len(prepared) / max(seconds, 1e-9),
                      [readings[index] for index in sorted(readings)])


def _losses(loss, logits, frames, texts, alphabet):
    """CTC losses of the lines that have one."""
    labels, rows = [], []
    for row, (text, length) in enumerate(zip(texts, frames)):
        label = [] if alphabet.unknown(text) else alphabet.encode(text)
        if label and frames_needed(label) <= length:
            labels.append(label)
            rows.append(row)
    if not rows:
        return []
    lengths = [len(label) for label in labels]
    padded = np.full((len(rows), max(lengths)), -1, np.float32)
    for line, label in zip(padded, labels):
        line[:len(label)] = label
    context = logits.context
    arrays = (nd.array(values, ctx=context) for values in (padded, frames[rows], lengths))
    return loss(nd.take(logits, nd.array(rows, ctx=context)), *arrays).asnumpy().tolist()
