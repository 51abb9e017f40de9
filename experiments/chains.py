"""Steps that the comparisons of language models share: train, mix, tune each chain, score all."""

import os
import subprocess
import sys

__all__ = ["step", "Models", "compare"]


def step(module, *arguments):
    """Run one command of the library, telling what."""
    print(f"\n$ {module} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


class Models:
    """n-gram models of one folder; what is there is not made again.

    Parameters
    ----------
    folder : str
    heldout : str
        Text on which the weights of mixtures are found.
    """

    def __init__(self, folder, heldout):
        self.folder, self.heldout = folder, heldout
        os.makedirs(folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def train(self, name, unit, order, corpus, *options):
        """Train an n-gram model; returns its path."""
        if not os.path.exists(self.path(f"{name}.json")):
            step("lm", "train", corpus, "--unit", unit, "--order", str(order), "--output",
                 self.path(name), "--reserved", "skip", *options)
        return self.path(name)

    def mix(self, name, models, *options):
        """Interpolate models, word lists among them; returns the mixture's path."""
        if not os.path.exists(self.path(f"{name}.json")):
            step("lm", "mix", *models, "--heldout", self.heldout, "--output", self.path(name),
                 *options)
        return self.path(name)


def compare(checkpoint, chains, output, budget):
    """Tune each chain on the validation split, then score all of them on the test split.

    Parameters
    ----------
    checkpoint : str
    chains : dict of str to (str, list of str)
        Name in the table -> (pipeline such as "beam-char+spelling", options of ``ocr tune``).
    output : str
        Folder for the tuned settings and the report.
    budget : float
        Minutes of tuning for each chain.
    """
    files = []
    for name, (pipeline, options) in chains.items():
        files.append(os.path.join(output, f"{name}.json"))
        if not os.path.exists(files[-1]):
            step("ocr", "tune", "--checkpoint", checkpoint, "--decoder", pipeline, *options,
                 "--budget", str(budget), "--output", files[-1])
    decoders = ",".join(["greedy", "beam", *files])
    step("ocr", "evaluate", "--checkpoint", checkpoint, "--decoders", decoders,
         "--calibration", "--output", os.path.join(output, "report"))
