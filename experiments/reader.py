"""From a YAML file to an exact-match score and a picture: what readers of short labels share."""

import os

from recipe import tells_errors

from ocr.checkpoints.settings import read_experiment
from ocr.cli.main import main as ocr
from ocr.evaluation.grid import label_grid
from ocr.evaluation.run import evaluate
from ocr.recognition.network import Recogniser
from ocr.training.sources import open_split

__all__ = ["run"]


@tells_errors
def run(config_path, arguments, splits, shown=40, font=None):
    """Train (or resume), read splits by best path, print how many lines are read exactly.

    Writes ``OUTPUT/SPLIT.json``, the report, and ``OUTPUT/SPLIT.png``, a picture of readings.

    Parameters
    ----------
    config_path : str
    arguments : list of str
        ``key=value`` overrides, and perhaps ``--resume``.
    splits : sequence of {"train", "validation", "test"}
    shown : int
        Lines in the picture; 0 for none.
    font : str, optional
        For the picture, where DejaVu Sans lacks the characters.

    Returns
    -------
    int
        Exit status.
    """
    overrides = [a for a in arguments if a != "--resume"]
    if status := ocr(["train", "--config", config_path, *arguments]):
        return status
    config = read_experiment(config_path, overrides)
    recogniser = Recogniser(os.path.join(config.output, "best.ckpt"), config.training.device)
    for split in splits:
        _read(recogniser, config, split, shown, font)
    return 0


def _read(recogniser, config, split, shown, font):
    report, lines, _ = evaluate(recogniser, open_split(config.data, split),
                                ["greedy"], cache=config.data.cache)
    [system] = report.systems
    scores = report.summaries[system.name]
    path = os.path.join(config.output, split)
    report.save_json(f"{path}.json")
    if shown:
        count = min(shown, len(lines))
        label_grid([lines.image(i) for i in range(count)], report.references[:count],
                   system.hypotheses[:count], f"{path}.png", font=font)
    if len(lines.report):
        print(f"{split}: {lines.report}")
    right = scores.lines - scores.wrong_lines
    print(f"{report.data}, {split}: {right} of {scores.lines} read exactly "
          f"({100 * right / scores.lines:.2f}%), CER {100 * scores.cer:.2f}%, "
          f"{scores.lines / system.seconds:.0f} lines/s")
