"""Reading lines with a shipped model, this tree and others in one run: network, decoding, start.

    python experiments/benchmarks/reading.py LINES.tsv --model french [--against FOLDER ...]

LINES.tsv has the columns file and text. FOLDER is a checkout of another commit (git worktree add
FOLDER COMMIT; python setup.py egg_info in it). Each tree reads the same lines with its own model,
in processes of its own, in turn; the fastest round counts. Take one core (taskset -c 1).
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def measure(arguments):
    """Read in this process; print the figures as JSON."""
    began = time.perf_counter()
    import numpy as np
    from PIL import Image

    from ocr.checkpoints.shipped import model_path
    from ocr.correction import build_pipeline
    from ocr.recognition.onnx import OnnxRecogniser

    with open(arguments.lines, encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = rows[::max(1, len(rows) // arguments.count)][:arguments.count]
    folder = os.path.dirname(arguments.lines)
    images = [np.asarray(Image.open(os.path.join(folder, row["file"])).convert("L"))
              for row in rows]
    recogniser = OnnxRecogniser(model_path(arguments.model), threads=1)
    decoder = build_pipeline(recogniser.pipeline, recogniser.alphabet)
    one = decoder.decode(recogniser.logits_of_images(images[:1]))
    told = {"first_line_s": time.perf_counter() - began}
    del one
    for name in ("network", "decoding", "decoding, remembered"):
        spent = time.process_time()
        if name == "network":
            logits = recogniser.logits_of_images(images)
        else:
            readings = decoder.decode(logits)
        told[name] = (time.process_time() - spent) * 1e3 / len(images)
    from ocr.text.metrics import TextMetric

    metric = TextMetric()
    metric.update_many([row["text"] for row in rows], [line[0].text for line in readings])
    told["CER %"] = 100 * metric.summary(bootstrap=0).cer
    told["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(told))


def main():
    """Print a row for each tree."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", metavar="LINES.tsv")
    parser.add_argument("--model", default="french")
    parser.add_argument("--against", action="append", default=[], metavar="FOLDER")
    parser.add_argument("--count", type=int, default=200, help="lines to read")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inner:
        measure(arguments)
        return
    trees, best = [*arguments.against, HERE], {}
    for _ in range(arguments.rounds):
        for tree in trees:
            done = subprocess.run(
                [sys.executable, __file__, arguments.lines, "--model", arguments.model, "--count",
                 str(arguments.count), "--inner"], check=True, capture_output=True, text=True,
                env={**os.environ, "PYTHONPATH": tree, "OMP_NUM_THREADS": "1"})
            told = json.loads(done.stdout.splitlines()[-1])
            best[tree] = {name: min(value, best.get(tree, told)[name])
                          for name, value in told.items()}
    print(f"{'ms a line, of processor time':36} network  decoding  again   both  first line s  "
          "CER %  peak MB")
    for tree, told in best.items():
        network, decoding = told["network"], told["decoding"]
        print(f"{tree[-36:]:36} {network:7.1f} {decoding:9.2f} {told['decoding, remembered']:6.2f} "
              f"{network + decoding:6.1f} {told['first_line_s']:13.2f} {told['CER %']:6.2f} "
              f"{told['peak MB']:8.0f}")
    if len(best) > 1:
        old, new = best[trees[0]], best[HERE]
        print(f"decoding {old['decoding'] / new['decoding']:.2f} times as fast, the whole "
              f"{(old['network'] + old['decoding']) / (new['network'] + new['decoding']):.2f}")


if __name__ == "__main__":
    main()
