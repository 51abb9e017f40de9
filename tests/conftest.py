"""Data that the tests make for themselves."""

import os

# Tests run beside each other and beside other work: MXNet must not oversubscribe the cores.
os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402

settings.register_profile("suite", deadline=None, max_examples=40,
                          suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("suite")


def draw_text(text, height=32, seed=0):
    """A printed line: uint8, dark on white, with a little noise."""
    font = ImageFont.load_default(size=18)
    width = int(font.getlength(text)) + 16
    image = Image.new("L", (width, height), 255)
    ImageDraw.Draw(image).text((8, 5), text, fill=0, font=font)
    noise = np.random.default_rng(seed).normal(0, 6, (height, width))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def write_table(folder, name, texts, seed=0):
    """A TSV of printed lines with their PNGs; returns its path."""
    os.makedirs(folder / "lines", exist_ok=True)
    rows = ["file\twriter\ttext"]
    for i, text in enumerate(texts):
        file = f"lines/{name}-{i:03d}.png"
        Image.fromarray(draw_text(text, seed=seed + i)).save(folder / file)
        rows.append(f"{file}\tw{i % 3}\t{text}")
    path = folder / f"{name}.tsv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


WORDS = ("une ligne de texte pour le test", "abc def ghi", "le mot est lu", "trois petits mots",
         "encore une ligne", "et la fin", "texte de ligne", "petit test")


@pytest.fixture
def table(tmp_path):
    """(train.tsv, valid.tsv) of 16 and 4 printed lines."""
    train = [WORDS[i % len(WORDS)] + f" {i}" for i in range(16)]
    return (write_table(tmp_path, "train", train),
            write_table(tmp_path, "valid", ["le test", "la ligne 12", "un mot", "et 3"], seed=50))
