"""Pages that the tests draw for themselves, with the boxes of their lines."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TEXTS = ("une ligne de texte pour le test", "abc def ghi jkl mno pqr", "le mot est lu par nous",
         "trois petits mots et encore un", "la fin du texte")


def draw_page(texts=TEXTS, size=30, spacing=64, margin=60, width=700, paper=255, ink=0):
    """Return a grey page, uint8, and the (left, top, right, bottom) of each line's ink."""
    font = ImageFont.load_default(size=size)
    height = 2 * margin + spacing * (len(texts) - 1) + int(1.4 * size)
    page = Image.new("L", (width, height), paper)
    pen, boxes = ImageDraw.Draw(page), []
    for number, text in enumerate(texts):
        at = (margin, margin + number * spacing)
        pen.text(at, text, fill=ink, font=font)
        boxes.append(pen.textbbox(at, text, font=font))
    return np.asarray(page), boxes


def draw_columns(gutter, columns=2, rows=8, width=500, size=30, heading=True):
    """Return a page of columns, the `gutter` between them in pixels, and its lines' boxes."""
    font, rng = ImageFont.load_default(size=size), np.random.default_rng(0)
    total = columns * width + (columns - 1) * gutter
    page = Image.new("L", (total + 120, 60 * rows + 240), 255)
    pen, boxes = ImageDraw.Draw(page), []

    def write(at, room):
        text = " ".join(rng.permutation(" ".join(TEXTS).split()))
        while pen.textlength(text, font=font) > room:
            text = text.rsplit(" ", 1)[0]
        pen.text(at, text, fill=0, font=font)
        boxes.append(pen.textbbox(at, text, font=font))

    if heading:
        write((60, 60), 1.7 * width + gutter)
    for column in range(columns):
        for row in range(rows):
            write((60 + column * (width + gutter), 140 + 60 * row), width)
    return np.asarray(page), boxes


def grain(page, strength=5, seed=0):
    noise = np.random.default_rng(seed).normal(0, strength, page.shape)
    return np.clip(page + noise, 0, 255).astype(np.uint8)


def turned(page, angle, paper=255):
    """Turn a page so that its lines fall to the right by `angle` degrees, about its middle."""
    return np.asarray(Image.fromarray(page).rotate(-angle, Image.BICUBIC, fillcolor=paper))


def turn_points(points, angle, size):
    """Return where `turned` brings points of a page of (width, height) `size`."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    middle = np.array(size) / 2
    return (np.asarray(points, float) - middle) @ np.array([[c, s], [-s, c]]) + middle


def corners(box):
    left, top, right, bottom = box
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def covered(polygon, points):
    """Share of `points` inside the bounding box of a polygon."""
    xs, ys = zip(*polygon)
    points = np.asarray(points)
    return ((points >= (min(xs), min(ys))) & (points <= (max(xs), max(ys)))).all(axis=1).mean()


def overlap(a, b):
    """Intersection over union of two boxes."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0

    def area(box):
        return (box[2] - box[0]) * (box[3] - box[1])

    return wide * high / (area(a) + area(b) - wide * high)
