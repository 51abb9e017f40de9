"""The whole job on data it makes itself: `make demo`.

Writes a synthetic IAM folder, trains the network `small`, trains a language model on the
training transcripts, tunes the decoders on validation lines, scores greedy / beam / beam-lm /
beam-char on the test split, and writes a gallery and a denoising dataset. Run it twice and it
goes on where it was.
"""

import os
import subprocess
import sys
import time

CONFIG = "demo"
OUTPUT = "demo"
CHECKPOINT = f"{OUTPUT}/run/best.ckpt"


def step(title, module, *arguments):
    """Run one command of the library, telling what and how long."""
    command = [sys.executable, "-m", module, *arguments]
    print(f"\n== {title}\n$ {module} {' '.join(arguments)}", flush=True)
    began = time.monotonic()
    subprocess.run(command, check=True)
    print(f"   ({time.monotonic() - began:.0f} s)", flush=True)


def main():
    began = time.monotonic()
    if not os.path.isdir(f"{OUTPUT}/iam"):
        step("Synthetic handwriting in IAM's format", "ocr", "synth", f"{OUTPUT}/iam",
             "--forms", "150", "--lines-per-form", "9", "--writers", "50", "--seed", "1",
             "--fonts", "hershey")
    if not os.path.isfile(f"{OUTPUT}/run/finished"):
        resume = ["--resume"] if os.path.isfile(f"{OUTPUT}/run/last.ckpt") else []
        step("Training", "ocr", "train", "--config", CONFIG, *resume)
        open(f"{OUTPUT}/run/finished", "w", encoding="utf-8").close()
    step("Denoising dataset and corpus", "ocr", "denoise-data", "--checkpoint", CHECKPOINT,
         "--splits", "validation", "--output", f"{OUTPUT}/typo")
    step("Language model on the training transcripts", "lm", "train",
         f"{OUTPUT}/typo/text_train.txt", "--order", "3", "--output", f"{OUTPUT}/run/words")
    step("and one of characters", "lm", "train", f"{OUTPUT}/typo/text_train.txt", "--unit",
         "character", "--order", "6", "--output", f"{OUTPUT}/run/characters")
    for decoder, model in (("beam-lm", "words"), ("beam-char", "characters")):
        step(f"Tuning {decoder} on validation lines", "ocr", "tune", "--checkpoint", CHECKPOINT,
             "--decoder", decoder, "--lm", f"{OUTPUT}/run/{model}", "--budget", "2")
    step("Scores on the test split", "ocr", "evaluate", "--checkpoint", CHECKPOINT,
         "--output", f"{OUTPUT}/report")
    print(f"\nDone in {(time.monotonic() - began) / 60:.1f} minutes.\n"
          f"  picture:    {OUTPUT}/report/gallery.png (and gallery.html)\n"
          f"  scores:     {OUTPUT}/report/report.json\n"
          f"  denoising:  {OUTPUT}/typo/validation.jsonl, validation.json, text_train.txt\n"
          f"  mxboard:    tensorboard --logdir {OUTPUT}/run/logs\n"
          f"  read one:   ocr recognise IMAGE --checkpoint {CHECKPOINT}")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        # The command has told what was wrong.
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        sys.exit(130)
