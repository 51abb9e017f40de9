"""What moves the error on Copiste: short trainings that differ in one setting each.

    python experiments/copiste_ablation.py [--only NAME,...] [key=value ...]

Each is the recipe copiste_first at 2 epochs with one change, chosen and scored on the
validation split alone. A finished run is not repeated, one that was cut off is resumed. Writes
runs/copiste-ablation/NAME and prints a table.
"""

import json
import os
import sys

from lm.denoising import write_corpus
from ocr.checkpoints.settings import read_experiment
from ocr.cli.main import main as ocr
from ocr.training.sources import open_split

CONFIG = "copiste_first"
FOLDER = "runs/copiste-ablation"
EPOCHS = 2
SYNTHETIC = f"{FOLDER}/synthetic/best.ckpt"
VARIANTS = {
    "baseline": [],
    "no shortcut branch": ["model.options.shortcut=false"],
    "no augmentation": ["augment=null"],
    "height 48": ["preprocess.height=48"],
    "learning rate 0.0005": ["training.learning_rate=0.0005"],
    "twice the frames": ["model.options.frame_pooling=[1]"],
    "half the hidden units": ["model.options.hidden=[32, 96]"],
    "synthetic pre-training": [f"training.initial_checkpoint={SYNTHETIC}"],
}


def _finished(output):
    path = os.path.join(output, "history.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as source:
        history = json.load(source)
    return history if len(history) >= EPOCHS else None


def _train(output, overrides):
    if _finished(output) is None:
        resume = ["--resume"] if os.path.exists(os.path.join(output, "last.ckpt")) else []
        status = ocr(["train", "--config", CONFIG, *resume,
                      f"training.epochs={EPOCHS}", f"output={output}", *overrides])
        if status:
            sys.exit(status)


def _pretrain(overrides):
    """Two epochs on synthetic lines of the training transcripts' text."""
    config = read_experiment(CONFIG, overrides)
    os.makedirs(FOLDER, exist_ok=True)
    text = f"{FOLDER}/text_train.txt"
    write_corpus(text, open_split(config.data, "train").texts())
    options = f"text_file: {text}, height: 64"
    _train(f"{FOLDER}/synthetic", [
        *overrides, "data.source=synthetic", f"data.options={{{options}}}",
        "data.train={lines: 3500, writers: 300}", "data.validation={lines: 200}",
        "data.test={}"])


def main(arguments):
    """Run the variants named (all by default) and print the table of all that are finished."""
    chosen = list(VARIANTS)
    if arguments[:1] == ["--only"]:
        chosen, arguments = arguments[1].split(","), arguments[2:]
    for name in chosen:
        if name not in VARIANTS:
            print(f"error: unknown variant {name!r}; known: {', '.join(VARIANTS)}")
            return 2
        if name == "synthetic pre-training":
            _pretrain(arguments)
        _train(f"{FOLDER}/{name.replace(' ', '-')}", [*arguments, *VARIANTS[name]])
    for name in VARIANTS:
        history = _finished(f"{FOLDER}/{name.replace(' ', '-')}")
        if history:
            rates = " ".join(f"{100 * epoch['validation_cer']:6.2f}" for epoch in history)
            print(f"{name:26} {rates}  WER {100 * history[-1]['validation_wer']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
