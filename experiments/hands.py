"""Teach the shipped French model each writer's hand, by a few transcribed lines.

    python experiments/hands.py [--split test] [--part I/N] [--epochs 8] [--rate 0.0002]

For each writer of a Copiste split the model goes on training on the first half of the writer's
lines (`ocr restore` makes the ONNX file trainable), then reads the second half. Prints CER and WER
of these before and after, all writers together. Writes runs/hands; a writer who is done is not
repeated, so that ``--part 1/2`` and ``--part 2/2`` can run beside each other before the whole.
"""

import argparse
import json
import os
import sys

from recipe import tells_errors

from lm.base.files import write_json, write_text
from ocr.checkpoints.settings import read_experiment
from ocr.checkpoints.shipped import model_path
from ocr.cli.main import main as ocr
from ocr.correction import build_pipeline
from ocr.data import open_dataset
from ocr.decoding import build_decoder
from ocr.recognition import open_recogniser
from ocr.recognition.network import Recogniser
from ocr.text.metrics import TextMetric
from ocr.training.trainer import train

DATA = "data/copiste"
FILES = {"validation": "valid", "test": "test"}
FOLDER = "runs/hands"
CONFIG = "hands"


def start():
    """Make the shipped model a checkpoint; returns its path."""
    path = f"{FOLDER}/start.ckpt"
    if not os.path.exists(path):
        os.makedirs(FOLDER, exist_ok=True)
        if status := ocr(["restore", "--model", "french", "--output", path, "data.source=table",
                          f"data.train.path={DATA}/train.tsv"]):
            sys.exit(status)
    return path


class Reader:
    """Reads lines by best path and with the shipped model's n-grams."""

    def __init__(self):
        self.shipped = open_recogniser(model_path("french"))
        alphabet = self.shipped.alphabet
        self._decoders = {"greedy": build_decoder("greedy", alphabet),
                          "beam-char": build_pipeline(self.shipped.pipeline, alphabet)}

    def read(self, recogniser, lines):
        """Return {decoder: texts}."""
        logits = recogniser.logits(recogniser.prepare(lines), progress=False)
        return {name: [found[0].text for found in decoder.decode(logits)]
                for name, decoder in self._decoders.items()}


def learn(lines, checkpoint, output, epochs, rate):
    """Train a checkpoint on transcribed lines; returns the new one's path."""
    rows = [f"{os.path.abspath(sample.path)}\t{sample.text}\n" for sample in lines.samples]
    os.makedirs(output, exist_ok=True)
    write_text(f"{output}/lines.tsv", "file\ttext\n" + "".join(rows))
    if os.path.exists(f"{output}/last.ckpt"):
        # Of a run that was cut short: half a minute's work.
        os.remove(f"{output}/last.ckpt")
    # The last network is taken: nothing here could tell a better one.
    changes = [f"output={output}", f"alphabet={checkpoint}",
               f"training.initial_checkpoint={checkpoint}", f"training.epochs={epochs}",
               f"training.learning_rate={rate}", f"training.validate_every={epochs}",
               "training.workers=0", "training.log_images=0",
               f"data.options.path={output}/lines.tsv"]
    train(read_experiment(CONFIG, changes), say=lambda line: None)
    return f"{output}/best.ckpt"


def read_result(path):
    """Return what is stored of a writer, None where nothing is."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as source:
        return json.load(source)


def show(results, truths):
    """Print the table of all writers together."""
    print(f"{len(results)} writers, {sum(map(len, truths.values()))} lines; CER %, WER % by spaces")
    for when in ("before", "after"):
        for name in ("greedy", "beam-char"):
            metric = TextMetric()
            for writer, result in results.items():
                metric.update_many(truths[writer], result[when][name])
            found = metric.summary()
            print(f"{when:7} {name:10} {100 * found.cer:6.2f} {100 * found.wer:6.2f}")


@tells_errors
def main():
    """Run all of it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=sorted(FILES), default="validation")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every Nth writer alone")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-4)
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    folder = f"{FOLDER}/{arguments.split}"
    dataset = open_dataset("table", path=f"{DATA}/{FILES[arguments.split]}.tsv")
    writers = [sample.writer for sample in dataset.samples]
    reader, checkpoint = Reader(), start()
    results, truths = {}, {}
    chosen = {"epochs": arguments.epochs, "rate": arguments.rate}
    for number, writer in enumerate(sorted(set(writers))):
        if number % parts != part - 1:
            continue
        own = [i for i, w in enumerate(writers) if w == writer]
        taught, lines = dataset.subset(own[:len(own) // 2]), dataset.subset(own[len(own) // 2:])
        truths[writer] = list(lines.texts())
        path = f"{folder}/{writer}/result.json"
        result = read_result(path)
        if result is None or result["settings"] != chosen:
            before = reader.read(reader.shipped, lines)
            learnt = learn(taught, checkpoint, f"{folder}/{writer}", arguments.epochs,
                           arguments.rate)
            after = reader.read(Recogniser(learnt), lines)
            result = {"before": before, "after": after, "settings": chosen}
            write_json(path, result)
        results[writer] = result
        print(f"{writer} done", flush=True)
    show(results, truths)
    return 0


if __name__ == "__main__":
    sys.exit(main())
