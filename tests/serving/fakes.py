"""A recogniser that needs no training: it reads bars that `draw_bars` draws."""

import time

import numpy as np

from lm.base.errors import CheckpointError
from ocr.image import PreprocessConfig
from ocr.recognition.lines import LineRecogniser
from ocr.text.alphabet import Alphabet

CHARACTERS = "abcdefghijklmnopqrstuvwxyz .,'-"
HEIGHT, BIT, FRAME = 32, 6, 8


def draw_bars(text):
    """A line image: each character five bits, one above the other, in a column of 8 pixels."""
    image = np.full((HEIGHT, 2 * FRAME * len(text) + FRAME), 255, np.uint8)
    for place, character in enumerate(text):
        code = CHARACTERS.index(character) + 1
        left = FRAME + 2 * FRAME * place
        for bit in range(5):
            if code >> bit & 1:
                image[1 + bit * BIT:1 + (bit + 1) * BIT, left:left + FRAME] = 0
    return image


class BarRecogniser(LineRecogniser):
    """Reads what `draw_bars` drew; sleeps `delay` seconds a batch."""

    def __init__(self, delay=0.0, shift=0):
        self.alphabet = Alphabet(CHARACTERS)
        self.preprocess = PreprocessConfig(height=HEIGHT, margin=FRAME)
        self.frame_pixels, self.stride, self.height = float(FRAME), FRAME, HEIGHT
        self.delay, self.shift, self.state = delay, shift, {}
        self.batches = []

    def read_arrays(self, images, widths):
        # Blank lines warm it up.
        time.sleep(self.delay if images.any() else 0)
        self.batches.append(len(images))
        count, _, _, width = images.shape
        classes = self.alphabet.num_classes
        bits = images[:, 0, 1:1 + 5 * BIT].reshape(count, 5, BIT, width // FRAME, FRAME)
        bits = bits.mean(axis=(2, 4)) > 0.5
        codes = (bits * (1 << np.arange(5))[None, :, None]).sum(axis=1)
        logits = np.zeros((count, width // FRAME, classes), np.float32)
        for row in range(count):
            for frame, code in enumerate(codes[row]):
                if code:
                    letter = CHARACTERS[(code - 1 + self.shift) % len(CHARACTERS)]
                    logits[row, frame, self.alphabet.encode(letter)[0]] = 9
                else:
                    logits[row, frame, self.alphabet.blank] = 9
        return logits, np.ceil(widths / FRAME).astype(int)

    _read = read_arrays


def open_bars(path, threads=0, device="auto"):
    """Open a text file as a model: its words are settings, ``delay=0.1 shift=1``."""
    with open(path, encoding="utf-8") as source:
        words = source.read().split()
    if not words or words[0] != "bars":
        raise CheckpointError(f"{path}: not bars, or cut short")
    options = dict(word.split("=") for word in words[1:])
    return BarRecogniser(float(options.get("delay", 0)), int(options.get("shift", 0)))


def open_served_bars(path):
    """As `ocr.serving.reading.open_served`, of bars."""
    from ocr.serving.reading import ServedRecogniser

    return ServedRecogniser(open_bars(path))


if __name__ == "__main__":
    # The service as a process of its own, for tests of signals: YAML of its settings.
    import sys

    from lm.base.settings import read_yaml
    from ocr.serving import ServingConfig, serve

    sys.exit(serve(ServingConfig.from_dict(read_yaml(sys.argv[1])), open_served_bars))
