"""Reading a data set with several decoders, over the same logits."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Optional, Union

from lm.base.errors import DataError

from ..correction import PipelineConfig, build_pipeline
from ..data.base import LineDataset
from ..decoding.calibration import Calibrator, joint_confidence
from ..recognition.lines import LineRecogniser
from .calibration import CalibrationReport, line_outcomes, word_outcomes
from .report import EvaluationReport, SystemResult

__all__ = ["evaluate", "calibrate"]

#: Lines whose logits are held at a time.
_AT_ONCE = 1024


def evaluate(recogniser: LineRecogniser, dataset: LineDataset, pipelines: Union[dict, Sequence],
             tokenisation: str = "space", cache: Optional[str] = None, batch_size: int = 16,
             normalise: Sequence[str] = ()
             ) -> tuple[EvaluationReport, LineDataset, dict[str, CalibrationReport]]:
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
    lines : LineDataset
        The lines read, for galleries.
    calibrations : dict of str to CalibrationReport
    """
    if not isinstance(pipelines, dict):
        configs = map(PipelineConfig.of, pipelines)
        pipelines = {config.name: config for config in configs}
    built = {name: build_pipeline(config, recogniser.alphabet)
             for name, config in pipelines.items()}
    found: dict[str, tuple[list, list]] = {name: ([], []) for name in built}
    calibrations = {name: CalibrationReport() for name in built}
    samples, network, spent = [], 0.0, dict.fromkeys(built, 0.0)
    for prepared in _parts(recogniser, dataset, cache):
        began = time.perf_counter()
        logits = recogniser.logits(prepared, batch_size)
        network += time.perf_counter() - began
        samples += prepared.dataset.samples
        for name, pipeline in built.items():
            began = time.perf_counter()
            hypotheses = pipeline.decode(logits)
            spent[name] += time.perf_counter() - began
            for text, line in zip(prepared.dataset.texts(), hypotheses):
                calibrations[name].update(text, line[0])
                found[name][0].append(line[0].text)
                found[name][1].append(line[0].confidence)
    if not samples:
        raise DataError(f"{dataset.name} ({dataset.split}): no line to read; {dataset.report}")
    systems = [SystemResult(
        name, texts, network + spent[name], confidences=confidences,
        settings={**pipelines[name].to_dict(), "network_seconds": network,
                  "decoder_seconds": spent[name], "calibration": calibrations[name].to_dict()})
        for name, (texts, confidences) in found.items()]
    report = EvaluationReport(
        dataset.name, dataset.split, [s.id for s in samples], [s.text for s in samples], systems,
        tokenisation=tokenisation, normalise=normalise,
        extra={"skipped": dataset.report.to_json(), "model": recogniser.config.model.name,
               "checkpoint_state": recogniser.state})
    places = {sample.id: index for index, sample in enumerate(dataset.samples)}
    lines = dataset.subset([places[sample.id] for sample in samples])
    lines.report = dataset.report
    return report, lines, calibrations


def _parts(recogniser, dataset, cache):
    """Yield a data set's lines, prepared, so many at a time that their logits fit in memory."""
    if cache is not None:
        prepared = recogniser.prepare(dataset, cache)
        yield from (prepared.part(start, start + _AT_ONCE)
                    for start in range(0, len(prepared), _AT_ONCE))
        return
    for start in range(0, len(dataset), _AT_ONCE):
        # In their own order: lines of one page stand together.
        part = dataset.subset(range(start, min(start + _AT_ONCE, len(dataset))))
        part.report = dataset.report
        yield recogniser.prepare(part)


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
