"""Reading a data set with several decoders, over the same logits."""

import time

from ..decoding import build_decoder
from ..exceptions import DataError
from .report import EvaluationReport, SystemResult

__all__ = ["evaluate"]


def evaluate(recogniser, dataset, decoders, base=None, tokenisation="space", cache=None,
             batch_size=16):
    """Read every line of a data set with every decoder.

    Parameters
    ----------
    recogniser : Recogniser
    dataset : LineDataset
        Lines that cannot be read from disk are left out and stand in its report.
    decoders : sequence of (DecoderConfig, str or None)
        Settings, and the folder their relative paths start from.
    tokenisation : str
        Of the WER; see `ocr.evaluation.metrics`.
    cache : str, optional
        Folder for decoded lines.
    batch_size : int

    Returns
    -------
    report : EvaluationReport
        Seconds are those of the network plus the decoder's own.
    prepared : PreparedLines
        The lines read, for galleries.
    """
    prepared = recogniser.prepare(dataset, cache)
    if not len(prepared):
        raise DataError(f"{dataset.name} ({dataset.split}): no line to read; {dataset.report}")
    began = time.perf_counter()
    logits = recogniser.logits(prepared, batch_size)
    network = time.perf_counter() - began
    systems = []
    for config, folder in decoders:
        decoder = build_decoder(config, recogniser.alphabet, base=folder or base)
        began = time.perf_counter()
        hypotheses = decoder.decode(logits)
        spent = time.perf_counter() - began
        systems.append(SystemResult(
            config.name, [line[0].text for line in hypotheses], network + spent,
            confidences=[line[0].confidence for line in hypotheses],
            settings={**config.to_dict(), "network_seconds": network, "decoder_seconds": spent}))
    lines = prepared.dataset
    report = EvaluationReport(
        lines.name, lines.split, [s.id for s in lines.samples], lines.texts(), systems,
        tokenisation=tokenisation,
        extra={"skipped": dataset.report.to_json(), "model": recogniser.config.model.name,
               "checkpoint_state": recogniser.state})
    return report, prepared
