"""Reading a data set with several decoders, over the same logits."""

import dataclasses
import time

from lm.base.errors import DataError

from ..correction import PipelineConfig, build_pipeline
from ..decoding.calibration import Calibrator, joint_confidence
from .calibration import CalibrationReport, line_outcomes, word_outcomes
from .report import EvaluationReport, SystemResult

__all__ = ["evaluate", "calibrate"]


def evaluate(recogniser, dataset, pipelines, tokenisation="space", cache=None, batch_size=16,
             normalise=()):
    """Read every line of a data set with every decoder and its correctors.

    Parameters
    ----------
    recogniser : Recogniser
    dataset : LineDataset
        Lines that cannot be read from disk are left out and stand in its report.
    pipelines : dict of str to PipelineConfig, or sequence
        By the names they have in the report; of a sequence of what `PipelineConfig.of` takes,
        their own.
    tokenisation : str
        Of the WER; see `ocr.text.metrics`.
    cache : str, optional
        Folder for decoded lines.
    batch_size : int
    normalise : sequence of str
        See `EvaluationReport`.

    Returns
    -------
    report : EvaluationReport
        Seconds are those of the network plus the decoder's and the correctors' own.
    prepared : PreparedLines
        The lines read, for galleries.
    calibrations : dict of str to CalibrationReport
    """
    if not isinstance(pipelines, dict):
        configs = map(PipelineConfig.of, pipelines)
        pipelines = {config.name: config for config in configs}
    prepared = recogniser.prepare(dataset, cache)
    if not len(prepared):
        raise DataError(f"{dataset.name} ({dataset.split}): no line to read; {dataset.report}")
    began = time.perf_counter()
    logits = recogniser.logits(prepared, batch_size)
    network = time.perf_counter() - began
    lines = prepared.dataset
    texts = lines.texts()
    systems, calibrations = [], {}
    for name, config in pipelines.items():
        pipeline = build_pipeline(config, recogniser.alphabet)
        began = time.perf_counter()
        hypotheses = pipeline.decode(logits)
        spent = time.perf_counter() - began
        calibrations[name] = CalibrationReport()
        for text, line in zip(texts, hypotheses):
            calibrations[name].update(text, line[0])
        systems.append(SystemResult(
            name, [line[0].text for line in hypotheses], network + spent,
            confidences=[line[0].confidence for line in hypotheses],
            settings={**config.to_dict(), "network_seconds": network, "decoder_seconds": spent,
                      "calibration": calibrations[name].to_dict()}))
    report = EvaluationReport(
        lines.name, lines.split, [s.id for s in lines.samples], texts, systems,
        tokenisation=tokenisation, normalise=normalise,
        extra={"skipped": dataset.report.to_json(), "model": recogniser.config.model.name,
               "checkpoint_state": recogniser.state})
    return report, prepared, calibrations


def calibrate(config, logits, texts, alphabet):
    """Fit a pipeline's confidences to what proves right on validation lines.

    Parameters
    ----------
    config : PipelineConfig
    logits : sequence of numpy.ndarray
        (T_i, C) of validation lines, never of the test split.
    texts : sequence of str
    alphabet : Alphabet

    Returns
    -------
    PipelineConfig
        With its `calibration` set.
    """
    config = dataclasses.replace(config, calibration=None)
    words, lines = [], []
    for text, hypotheses in zip(texts, build_pipeline(config, alphabet).decode(logits)):
        words += word_outcomes(text, hypotheses[0])
        [(_, right)] = line_outcomes(text, hypotheses[0])
        lines.append((joint_confidence(hypotheses[0]), right))
    return dataclasses.replace(config, calibration=Calibrator.fit(words, lines).to_dict())
