"""Pictures of a training: lines with their texts, samples as they are trained on, the curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from lm.base.files import atomic_path

from ..image.fonts import label_font

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["caption_line", "log_text", "save_curve", "save_samples"]


def caption_line(ink: np.ndarray, truth: str, reading: Optional[str] = None) -> "Image":
    """Draw a line with its truth and, where there is one, its reading below.

    Parameters
    ----------
    ink : numpy.ndarray
        uint8, (height, width), ink bright.
    truth : str
    reading : str, optional

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    from PIL import Image, ImageDraw

    font, texts = label_font(13), [truth] if reading is None else [truth, reading]
    height, width = ink.shape
    width = max(width, int(max(map(font.getlength, texts))) + 8)
    canvas = Image.new("RGB", (width, height + 18 * len(texts)), "white")
    canvas.paste(Image.fromarray(255 - ink), (0, 0))
    draw = ImageDraw.Draw(canvas)
    draw.text((2, height), truth, fill="black", font=font)
    if reading is not None:
        draw.text((2, height + 18), reading, font=font,
                  fill="darkgreen" if truth == reading else "firebrick")
    return canvas


def save_samples(path: str, lines: Sequence[np.ndarray], texts: Sequence[str]) -> None:
    """Write a PNG of lines as the network is given them, each with its text below.

    Parameters
    ----------
    path : str
    lines : list of numpy.ndarray
        float32, (height, width), standardised.
    texts : list of str
    """
    from PIL import Image

    pictures = []
    for line, text in zip(lines, texts):
        grey = (line - line.min()) / max(float(np.ptp(line)), 1e-9)
        # Paper is what there is most of, be ink bright or dark.
        ink = grey if np.median(grey) < 0.5 else 1 - grey
        pictures.append(caption_line((255 * ink).astype(np.uint8), text))
    canvas = Image.new("RGB", (max(p.width for p in pictures),
                               sum(p.height + 6 for p in pictures)), "white")
    top = 0
    for picture in pictures:
        canvas.paste(picture, (0, top))
        top += picture.height + 6
    with atomic_path(path) as temporary:
        canvas.save(temporary, "PNG")


def save_curve(path: str, history: list[dict], start: Optional[dict] = None) -> None:
    """Draw the learning curve: losses and validation CER over the epochs.

    Parameters
    ----------
    path : str
        A PNG.
    history : list of dict
        As `Trainer.run` returns it.
    start : dict, optional
        The validation before the first epoch.
    """
    from matplotlib.figure import Figure

    validated = ([{"epoch": 0, **start}] if start else []) + [
        entry for entry in history if "validation_cer" in entry]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    losses = figure.subplots()
    rates = losses.twinx()
    lines = losses.plot([e["epoch"] for e in history], [e["train_loss"] for e in history],
                        color="tab:blue", label="training loss")
    epochs = [e["epoch"] for e in validated]
    lines += losses.plot(epochs, [e["validation_loss"] for e in validated], color="tab:orange",
                         label="validation loss")
    lines += rates.plot(epochs, [100 * e["validation_cer"] for e in validated], color="tab:green",
                        marker=".", label="validation CER")
    losses.set(xlabel="epoch", ylabel="CTC loss", ylim=(0, None))
    rates.set(ylabel="CER %", ylim=(0, None))
    losses.legend(handles=lines, loc="upper right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def log_text(writer: Any, tag: str, text: str) -> None:
    """Give a table in plain text to an mxboard writer."""
    from mxboard.summary import text_summary

    # Indented, Markdown leaves it as it is.
    summary = text_summary(tag, "    " + text.replace("\n", "\n    "))
    # mxboard's add_text puts the tag where TensorBoard has ceased to look for it, and fails.
    summary.value[0].tag = tag
    writer._file_writer.add_summary(summary, 0)
