"""The text files that Flor's system writes: predictions, and reports of training and scoring.

Whoever has scripts that read its ``predict.txt``, ``train.txt`` and ``evaluate.txt`` can go on
using them; `read_predictions` reads its predictions, for scores or denoising data of ours.
"""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from rapidfuzz.distance import Levenshtein

from lm.base.errors import DataError, MissingDataError
from lm.base.files import read_text, write_text

from .report import EvaluationReport

__all__ = ["write_predictions", "read_predictions", "line_means", "write_training_report",
           "write_evaluation_report"]

_TRUTH, _READING = "TE_L", "TE_P"


def write_predictions(path: str, references: Sequence[str], readings: Sequence[str]) -> None:
    """Write a row ``TE_L truth`` and a row ``TE_P reading`` for each line.

    Parameters
    ----------
    path : str
    references, readings : sequence of str
        Equally many, without line breaks.

    Raises
    ------
    DataError
        They are not; nothing is written then.
    """
    if len(references) != len(readings):
        raise DataError(f"{len(references)} references for {len(readings)} readings")
    rows = []
    for number, pair in enumerate(zip(references, readings), 1):
        for tag, text in zip((_TRUTH, _READING), pair):
            if "\n" in text or "\r" in text:
                raise DataError(f"{path}: line {number} holds a line break: {text!r}")
            rows.append(f"{tag} {text}\n")
    write_text(path, "".join(rows))


def read_predictions(path: str) -> tuple[list[str], list[str]]:
    """Read a predictions file.

    Parameters
    ----------
    path : str
        UTF-8; empty rows are passed over.

    Returns
    -------
    references, readings : list of str
        Equally many, exactly as they stand behind their tag and one space.

    Raises
    ------
    MissingDataError, DataError
        No such file; not UTF-8; a row of another kind, or truth and reading not in turn. The
        message names the row.
    """
    content = read_text(path, MissingDataError(f"{path}: no such predictions file"))
    rows = content.replace("\r\n", "\n").split("\n")
    found: dict[str, list[str]] = {_TRUTH: [], _READING: []}
    expected, other = _TRUTH, _READING
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        tag, _, text = row.partition(" ")
        if tag != expected:
            raise DataError(f"{path}, line {number}: expected a row {expected} ..., "
                            f"found {row[:40]!r}")
        found[tag].append(text)
        expected, other = other, expected
    if expected == _READING:
        raise DataError(f"{path}: the last {_TRUTH} has no {_READING}")
    return found[_TRUTH], found[_READING]


def line_means(references: Sequence[str], readings: Sequence[str]) -> tuple[float, ...]:
    """Return (CER, WER, SER) as Flor's system computes them.

    Both texts are taken to lower case. Edits are divided by the length of the longer of truth and
    reading, line by line, and the mean is taken over lines, which is lower than the corpus-level
    rate where readings run long. A line of two empty texts counts 0. All three are NaN where
    there are no lines.
    """
    if len(references) != len(readings):
        raise DataError(f"{len(references)} references for {len(readings)} readings")
    rows = []
    for truth, reading in zip(map(str.lower, references), map(str.lower, readings)):
        sides = ((truth, reading), (truth.split(), reading.split()))
        rows.append([Levenshtein.distance(a, b) / max(len(a), len(b), 1) for a, b in sides]
                    + [float(truth != reading)])
    return tuple(np.mean(rows, axis=0)) if rows else (float("nan"),) * 3


def write_training_report(path: str, history: Sequence[dict], train_lines: int,
                          validation_lines: int, batch_size: int) -> None:
    """Write the report of a training.

    Parameters
    ----------
    path : str
    history : list of dict
        As `ocr.training.train` returns it. The best epoch is the one with the lowest validation
        CER (Flor's own report has the lowest validation loss), times are without validation.
    train_lines, validation_lines : int
        Lines trained and validated on.
    batch_size : int

    Raises
    ------
    DataError
        No epoch of the history was validated.
    """
    validated = [entry for entry in history if "validation_cer" in entry]
    if not validated:
        raise DataError(f"{path}: no epoch was validated")
    best = min(validated, key=lambda entry: entry["validation_cer"])
    seconds = sum(train_lines / entry["lines_per_second"] for entry in history)
    epoch = seconds / len(history)
    write_text(path, f"""\
Total train images:      {train_lines}
Total validation images: {validation_lines}
Batch:                   {batch_size}

Total time:              {timedelta(seconds=seconds)}
Time per epoch:          {timedelta(seconds=epoch)}
Time per item:           {timedelta(seconds=epoch / train_lines)}

Total epochs:            {len(history)}
Best epoch               {best['epoch']}

Training loss:           {best['train_loss']:.8f}
Validation loss:         {best['validation_loss']:.8f}
""")


def write_evaluation_report(path: str, report: EvaluationReport, name: str) -> None:
    """Write the scores of a system.

    Parameters
    ----------
    path : str
    report : EvaluationReport
    name : str
        Of the system. Its corpus-level rates come first, those of `line_means` after them. What
        Flor's options norm_accentuation and norm_punctuation do, the report's rules "accents"
        and "unpunctuated" do.

    Raises
    ------
    DataError
        No such system.
    """
    systems = {system.name: system for system in report.systems}
    if name not in systems:
        raise DataError(f"{path}: the report has no system {name!r}; "
                        f"known: {', '.join(systems)}")
    scores, seconds = report.summaries[name], systems[name].seconds or 0.0
    rules = f" ({', '.join(report.normalise)} normalised)" if report.normalise else ""
    means = line_means(report.references, systems[name].hypotheses)
    write_text(path, f"""\
Total test images:    {scores.lines}
Total time:           {timedelta(seconds=seconds)}
Time per item:        {timedelta(seconds=seconds / max(scores.lines, 1))}

Metrics{rules}:
Character Error Rate: {scores.cer:.8f}
Word Error Rate:      {scores.wer:.8f}
Sequence Error Rate:  {scores.ser:.8f}

Means over lines, lower case{rules}:
Character Error Rate: {means[0]:.8f}
Word Error Rate:      {means[1]:.8f}
Sequence Error Rate:  {means[2]:.8f}
""")
