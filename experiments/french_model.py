"""The French model: frames half as wide, then made-up lines, then the real ones alone; averaged.

    python experiments/french_model.py [--resume] [key=value ...]

The two trainings of copiste_lines.py come first, then the recipe french_first, then trainings of
the recipe french, in rounds: each goes on from the mean of what the round before began with and
ended in. Writes runs/french/best.ckpt, the mean of the last round, and scores it and all that it
is made of on the validation split. Needs runs/text-fr/words.tsv (french_text.py). With --resume
what is finished is not repeated. `shipped_models.py` makes the model that comes with the library
of it.
"""

import os
import sys

import font_lines
import recombined_lines
from copiste_lines import TRAININGS
from recipe import goes_on, train_in_turn

from ocr.cli.main import main as ocr

FIRST, SECOND = "french_first", "french"
FOLDER = "runs/french"
#: Recombined lines, and lines in fonts, of a training.
RECOMBINED, FONTS = "7000", "5000"
#: What a short training on the real lines alone is given, and one at a rate that does not sink,
#: of which the moving average is kept.
ALONE = ["training.epochs=2", "training.learning_rate=0.0005", "training.ema=0.998"]
STEADY = ["training.epochs=1", "training.schedule=constant", "training.ema=0.9995",
          "training.ema_warmup=false"]
#: In rounds, each training's number, the tables that it has besides the real lines, and settings.
ROUNDS = (
    (("1", ("recombined1",), []), ("2", ("recombined2",), [])),
    (("3", ("recombined2", "fontlines1"), ["training.epochs=3"]),),
    (("4", (), ALONE), ("5", (), [*ALONE, "augment.erase=1"])),
    (("6", (), ["training.epochs=6", "training.seed=7"]),),
    (("7", ("recombined4",), STEADY),
     ("8", ("recombined3",), [*STEADY, "augment.elastic=0.045"])),
    (("9", (), ["training.epochs=3"]), ("10", (), [*ALONE, "augment.erase=1"])),
)


def make_lines(table):
    """Write ``recombinedN`` or ``fontlinesN`` unless it is there; returns an exit status."""
    kind, seed = table[:-1], table[-1]
    if os.path.exists(f"runs/{table}/lines.tsv"):
        return 0
    if kind == "recombined":
        return recombined_lines.main(f"{FOLDER}/first/best.ckpt", f"runs/{table}", RECOMBINED, seed)
    return font_lines.main(f"runs/{table}", FONTS, seed)


def train(name, tables, settings, start, arguments):
    """Make the lines of one of the trainings, and run it from `start`; returns an exit status."""
    for table in tables:
        if status := make_lines(table):
            return status
    paths = [recombined_lines.TRAIN, *(f"runs/{table}/lines.tsv" for table in tables)]
    output = f"{FOLDER}/{name}"
    own = [f"output={output}", f"training.seed={name}", f"training.initial_checkpoint={start}",
           f"data.train.path=[{','.join(paths)}]"]
    return train_in_turn([(SECOND, output)], [*own, *settings, *arguments])


def main(arguments):
    """Train, average, score; returns the exit status."""
    first = f"{FOLDER}/first"
    if not goes_on(f"{FOLDER}/1", arguments):
        if status := train_in_turn([*TRAININGS, (FIRST, first)], arguments):
            return status
    start = f"{first}/best.ckpt"
    made = [start]
    for number, trainings in enumerate(ROUNDS, 1):
        for training in trainings:
            if status := train(*training, start, arguments):
                return status
        ends = [f"{FOLDER}/{name}/best.ckpt" for name, _, _ in trainings]
        mean = f"{FOLDER}/{'best' if number == len(ROUNDS) else f'mean{number}'}.ckpt"
        if status := ocr(["average", start, *ends, "--output", mean]):
            return status
        made += [*ends, mean]
        start = mean
    for checkpoint in made:
        print(checkpoint, flush=True)
        if status := ocr(["evaluate", "--checkpoint", checkpoint, "--split", "validation",
                          "--decoders", "greedy"]):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
