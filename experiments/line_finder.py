"""Train the line finder: where lines lie on a page, how high they are, which way is up.

    python experiments/line_finder.py [--minutes 75] [--pages FOLDER] [--start FILE] [--seed 1]

FOLDER (data/pages/train) holds folders of pages, NAME.jpg with NAME.json: lines with
polygon and baseline. Every step sees windows of pages turned, scaled, bent, badly lit, ruled,
dashed, stamped and taped. Writes runs/lines/lines.params and runs/lines/lines.onnx, the latter by
MXNet's own exporter. Ctrl-C ends it early with both files written.
"""

import argparse
import glob
import json
import math
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from recipe import tells_errors

from lm.base.errors import MissingDataError
from lm.base.files import atomic_path
from lm.base.signals import collect_signals
from ocr.base.backend import autograd, gluon, mx, nd
from ocr.base.randomness import generator
from ocr.image import load_grey
from ocr.layout.learnt import CELL, MIDDLE, THICKNESS
from ocr.models.pages import PageNetwork

PAGES, OUTPUT = "data/pages/train", "runs/lines"
#: Side of a window in pixels, windows a step, highest learning rate.
SIZE, BATCH, RATE = 512, 4, 2e-3
#: How often a page is of each folder.
SHARES = {"copiste": .3, "poilus": .35, "mss19": .2, "peraire": .08, "timeus": .07}


def reach(baseline, polygon):
    """Return how far a polygon reaches above and below a baseline on the mean; None if unclear."""
    along = baseline[-1] - baseline[0]
    length = np.hypot(*along)
    if length < 3:
        return None
    along = along / length
    normal = np.array([along[1], -along[0]])
    course = (baseline - baseline[0]) @ normal
    place = (polygon - baseline[0]) @ along
    height = (polygon - baseline[0]) @ normal - np.interp(place, (baseline - baseline[0]) @ along,
                                                          course)
    at = np.linspace(.02, .98, 40) * length
    highest, lowest = np.full(40, -np.inf), np.full(40, np.inf)
    for a, b, h, k in zip(place, np.roll(place, -1), height, np.roll(height, -1)):
        within = (at >= min(a, b)) & (at <= max(a, b))
        values = h + (k - h) * (at[within] - a) / (b - a if b != a else 1)
        highest[within] = np.maximum(highest[within], values)
        lowest[within] = np.minimum(lowest[within], values)
    known = np.isfinite(highest)
    if known.sum() < 5:
        return None
    return max(float(highest[known].mean()), 2.0), max(float(-lowest[known].mean()), 1.0)


def read_pages(folder):
    """Return (folder's name, grey page, [(baseline, polygon)]) of each page."""
    pages = []
    for path in sorted(glob.glob(os.path.join(folder, "*", "*.json"))):
        with open(path, encoding="utf-8") as source:
            page = json.load(source)
        lines = []
        for line in page["lines"]:
            baseline = np.array(line.get("baseline") or [], float)
            if len(baseline) > 1 and len(line["polygon"]) > 2:
                forward = baseline[-1, 0] >= baseline[0, 0]
                lines.append((baseline if forward else baseline[::-1],
                              np.array(line["polygon"], float)))
        kind = os.path.basename(os.path.dirname(path))
        pages.append((kind, load_grey(os.path.join(os.path.dirname(path), page["image"])), lines))
    if not pages:
        raise MissingDataError(f"{folder}: holds no folders of pages (NAME.jpg, NAME.json)")
    return pages


def draw_over(grey, rng):
    """Draw what is no line: rules, dashes, grids, edges, stamps, tapes, shadows, grain."""
    height, width = grey.shape
    image = Image.fromarray(grey)
    draw = ImageDraw.Draw(image)
    if rng.random() < .3:
        step, shade = rng.uniform(14, 60), int(rng.uniform(60, 225))
        slope, kind = math.tan(math.radians(rng.normal(0, 1.5))), rng.random()
        pen, dash, gap = 1 + (rng.random() < .3), rng.uniform(3, 16), rng.uniform(2, 14)
        for y in np.arange(rng.uniform(0, step) - abs(slope) * width, height * 1.2, step):
            ends = np.arange(0, width, dash + gap) if kind < .45 else [0]
            for x in ends:
                end = x + dash if kind < .45 else width
                draw.line([(x, y + slope * x), (end, y + slope * end)], fill=shade, width=pen)
        if kind > .75:
            for x in np.arange(rng.uniform(0, step), width, step):
                draw.line([(x, 0), (x - slope * height, height)], fill=shade, width=pen)
    for _ in range(rng.poisson(.7)):
        at, drift = rng.uniform(0, 1), rng.normal(0, 20)
        ends = [(at * width, 0), (at * width + drift, height)] if rng.random() < .5 else \
            [(0, at * height), (width, at * height + drift)]
        draw.line(ends, fill=int(rng.uniform(0, 255)), width=int(rng.integers(1, 8)))
    if rng.random() < .25:
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(20, 70)
        shade = int(rng.uniform(30, 170))
        for share, pen in ((1, int(rng.integers(1, 4))), (.7, 1)):
            r = share * radius
            draw.ellipse([x - r, y - r, x + r, y + r], outline=shade, width=pen)
        for angle in rng.uniform(0, 2 * math.pi, 8):
            a, b = math.cos(angle) * radius, math.sin(angle) * radius
            draw.line([(x + .75 * a, y + .75 * b), (x + .95 * a, y + .95 * b)], fill=shade, width=2)
    values = np.asarray(image).astype(np.float32)
    if rng.random() < .15:
        top, left = int(rng.uniform(0, height)), int(rng.uniform(0, width))
        values[top:top + int(rng.uniform(15, 60)), left:left + int(rng.uniform(20, width / 2))] *= \
            rng.uniform(.6, .95)
    if rng.random() < .6:
        across, down = rng.normal(0, .25, 2)
        x, y = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
        values *= np.clip(1 + across * x + down * y + rng.normal(0, .1) * x * y, .25, 1.4)
    if rng.random() < .3:
        blurred = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
        values = np.asarray(blurred.filter(ImageFilter.GaussianBlur(rng.uniform(.3, 1.3))),
                            np.float32)
    mean = values.mean()
    values = (values - mean) * rng.uniform(.5, 1.3) + mean + rng.normal(0, 20)
    if rng.random() < .5:
        values = values + rng.normal(0, rng.uniform(1, 10), values.shape)
    return np.clip(values, 0, 255)


def window(pages, chances, rng):
    """Return a window of a page and its maps: (grey, core, log above, log below, quarter turns)."""
    _, page, lines = pages[rng.choice(len(pages), p=chances)]
    height, width = page.shape
    scale = math.exp(rng.uniform(math.log(.65), math.log(1.5)))
    angle = math.radians(rng.normal(0, 2.5) if rng.random() < .8 else rng.uniform(-13, 13))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    forth = turn @ np.array([[scale * math.exp(rng.normal(0, .08)), rng.normal(0, .03)],
                             [0, scale]])
    back = np.linalg.inv(forth)
    centre = np.array([rng.uniform(.2, .8) * width, rng.uniform(.15, .85) * height])
    origin = centre - back @ np.array([SIZE / 2, SIZE / 2])
    paper = int(page[:8].mean()) if rng.random() < .5 else int(rng.uniform(0, 255))
    grey = np.asarray(Image.fromarray(page).transform(
        (SIZE, SIZE), Image.AFFINE, (*back[0], origin[0], *back[1], origin[1]), Image.BILINEAR,
        fillcolor=paper))
    # Curled paper: columns move up and down.
    swing = rng.uniform(0, 7) if rng.random() < .4 else 0.0
    period, phase = rng.uniform(400, 1500), rng.uniform(0, 2 * math.pi)

    def bend(x):
        return swing * np.sin(x / period * 2 * math.pi + phase)

    if swing:
        columns = np.arange(SIZE)
        rows = np.arange(SIZE)[:, None] - np.round(bend(columns)).astype(int)[None]
        grey = grey[np.clip(rows, 0, SIZE - 1), columns[None]]
    cells = SIZE // CELL
    core = Image.new("L", (2 * cells, 2 * cells), 0)
    above, below = Image.new("F", (cells, cells), 0), Image.new("F", (cells, cells), 0)
    for baseline, polygon in lines:
        baseline, polygon = ((points - origin) @ forth.T for points in (baseline, polygon))
        if swing and len(baseline) < 8:
            at = np.linspace(0, len(baseline) - 1, 12)
            baseline = np.stack([np.interp(at, range(len(baseline)), baseline[:, k])
                                 for k in (0, 1)], 1)
        for points in (baseline, polygon):
            points[:, 1] += bend(points[:, 0])
        low, high = baseline.min(0), baseline.max(0)
        if (high < (0, -20)).any() or (low > (SIZE, SIZE + 20)).any() \
                or (found := reach(baseline, polygon)) is None:
            continue
        up, down = found

        def band(top, bottom, points=baseline, height=up):
            return np.concatenate([points - [0, top * height],
                                   (points + [0, bottom * height])[::-1]]) / CELL

        half = THICKNESS / 2
        ImageDraw.Draw(core).polygon([tuple(2 * p) for p in band(MIDDLE + half, half - MIDDLE)],
                                     fill=255)
        for image, value in ((above, up), (below, down)):
            ImageDraw.Draw(image).polygon([tuple(p) for p in band(.8, .4)],
                                          fill=math.log(value / CELL))
    core = np.asarray(core).reshape(cells, 2, cells, 2).mean((1, 3)) / 255
    grey = draw_over(grey, rng)
    turns = int(rng.integers(1, 4)) if rng.random() < .25 else 0
    if rng.random() < .12:
        grey = 255 - grey
    return np.rot90(grey, -turns), core, np.asarray(above), np.asarray(below), turns


def batch(pages, chances, seed, step):
    """Return a step's arrays; they follow from (seed, step)."""
    rng = generator(seed, step)
    greys, *maps, turns = zip(*(window(pages, chances, rng) for _ in range(BATCH)))
    greys = [(g.astype(np.float32) - g.mean()) / (g.std() + 8) for g in greys]
    return [np.stack(greys)[:, None], *(np.stack(m).astype(np.float32) for m in maps),
            np.array(turns, np.float32)]


def losses(net, arrays):
    """Return (core, overlap, heights, turn), the parts of a step's loss."""
    greys, core, above, below, turns = arrays
    maps, logits = net(greys)
    logit = maps[:, 0]
    probability = nd.sigmoid(logit)
    # Of turned windows the turn alone is learnt.
    upright = (turns == 0).reshape((-1, 1, 1))
    cross = nd.relu(logit) - logit * core + nd.log1p(nd.exp(-nd.abs(logit)))
    weight = (1 + 2 * core) * upright
    overlap = 1 - (2 * (probability * core * upright).sum((1, 2)) + 20) / (
        ((probability + core) * upright).sum((1, 2)) + 20)
    inside = core * upright
    heights = sum((nd.smooth_l1(maps[:, 1 + k] - truth, scalar=3) * inside).sum()
                  for k, truth in enumerate((above, below))) / (inside.sum() + 1)
    turned = gluon.loss.SoftmaxCrossEntropyLoss()(logits, turns).mean()
    return (cross * weight).sum() / (weight.sum() + 1), overlap.mean(), heights, turned


def export(net, path):
    """Write the network as ONNX with MXNet's exporter: pages in, maps and turns out."""
    import tempfile

    import onnx

    net.hybridize()
    net(nd.zeros((1, 1, 64, 64)))
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "net")
        net.export(prefix, 0)
        mx.onnx.export_model(f"{prefix}-symbol.json", f"{prefix}-0000.params", [(1, 1, 64, 64)],
                             np.float32, f"{prefix}.onnx", dynamic=True,
                             dynamic_input_shapes=[("n", 1, "h", "w")])
        model = onnx.load(f"{prefix}.onnx")
    graph = model.graph
    names = {graph.input[0].name: "pages", graph.output[0].name: "maps",
             graph.output[1].name: "turns"}
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.get(end, end) for end in ends]
    for value in (graph.input[0], *graph.output):
        value.name = names[value.name]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    # Weights are constants, no inputs; the operators are those of opset 13.
    del graph.input[1:]
    for opset in model.opset_import:
        opset.version = 13
    with atomic_path(path) as temporary:
        onnx.save(model, temporary)


@tells_errors
def main():
    """Train and export; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument("--pages", default=PAGES)
    parser.add_argument("--start", metavar="FILE", help="weights to go on from")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    pages = read_pages(arguments.pages)
    counts = {kind: sum(page[0] == kind for page in pages) for kind, *_ in pages}
    chances = np.array([SHARES.get(kind, .1) / counts[kind] for kind, *_ in pages])
    chances /= chances.sum()
    mx.random.seed(arguments.seed)
    net = PageNetwork()
    net.initialize(mx.init.Xavier())
    if arguments.start:
        net.load_parameters(arguments.start)
    net.hybridize(static_alloc=True)
    trainer = gluon.Trainer(net.collect_params(), "adam", {"learning_rate": RATE, "wd": 1e-5})
    began, step, mean, share = time.monotonic(), 0, None, 0.0
    os.makedirs(OUTPUT, exist_ok=True)
    with collect_signals() as stopped, ThreadPoolExecutor(1) as ahead:
        waiting = ahead.submit(batch, pages, chances, arguments.seed, step)
        while share < 1 and not stopped:
            arrays = [nd.array(array) for array in waiting.result()]
            step += 1
            waiting = ahead.submit(batch, pages, chances, arguments.seed, step)
            share = (time.monotonic() - began) / (60 * arguments.minutes)
            trainer.set_learning_rate(RATE * min(1, step / 100) * (
                .02 + .49 * (1 + math.cos(math.pi * min(1, share)))))
            with autograd.record():
                parts = losses(net, arrays)
                total = parts[0] + .5 * parts[1] + .5 * parts[2] + .15 * parts[3]
            total.backward()
            trainer.step(1)
            values = np.array([float(part.asscalar()) for part in parts])
            mean = values if mean is None else .98 * mean + .02 * values
            if step % 100 == 0:
                print(f"step {step}, {100 * share:.0f}%: core {mean[0]:.3f}, overlap {mean[1]:.3f},"
                      f" heights {mean[2]:.3f}, turn {mean[3]:.3f}", flush=True)
                net.save_parameters(f"{OUTPUT}/lines.params")
    net.save_parameters(f"{OUTPUT}/lines.params")
    export(net, f"{OUTPUT}/lines.onnx")
    print(f"{OUTPUT}/lines.onnx: after {step} steps of {BATCH} windows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
