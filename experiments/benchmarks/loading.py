"""Packing, loading and distorting lines: lines per second; memory of a long list.

    python experiments/benchmarks/loading.py [--config YAML] [--lines N] [--size WxH]
    python experiments/benchmarks/loading.py --rows 1000000
    python experiments/benchmarks/loading.py --distortions [--config YAML] [--lines N]

The first packs the training split of a config (a table of images by default) into HDF5 files,
reads every image of each source in random order, and prints lines per second of this process's
own CPU time, which other work on the machine changes little, and of the clock. The second opens
an index list of so many rows as training does, streaming, and prints the memory of the process
at each step; the rows name one image by as many paths. The third distorts training lines as
`ocr.image.augment` does, and the same by scikit-image's `warp`, in one resampling as well.
"""

import argparse
import os
import tempfile
import time
from functools import partial

import numpy as np

from ocr.checkpoints.settings import read_experiment
from ocr.data import open_dataset
from ocr.data.packing import PackSettings, pack_lines
from ocr.image import PreprocessConfig
from ocr.training.sources import make_alphabet, open_split

CONFIG = "copiste_first"


def timed(name, lines, work):
    """Print how many lines a second `work` goes through; returns what it returns."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:34}  {lines / cpu:9.0f}  {lines / wall:9.0f}", flush=True)
    return result


def read_all(dataset, order):
    for index in order:
        dataset.image(int(index))


def sources(config_path, limit, size):
    """Print the rates of the table, of packing, and of reading what was packed."""
    config = read_experiment(config_path)
    dataset = open_split(config.data, "train")
    dataset = dataset.subset(range(min(limit, len(dataset))))
    order = np.random.default_rng(1).permutation(len(dataset))
    alphabet = make_alphabet("data", dataset)
    print(f"{dataset.name}, {len(dataset)} lines\n{'':34}  per CPU s      per s")
    # Twice: the files are in the system's cache the second time, as those packed will be.
    read_all(dataset, order)
    timed(f"reading {config.data.source}", len(order), partial(read_all, dataset, order))
    width, height = map(int, size.split("x"))
    box = PreprocessConfig(height=height, width=width)
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in (
                ("as stored, lzf", PackSettings(compression="lzf")),
                ("as stored, gzip", PackSettings(compression="gzip")),
                ("as stored, no compression", PackSettings(compression="none")),
                (f"{size}, no compression", PackSettings("scaled", box)),
                (f"{size}, lzf", PackSettings("scaled", box, "lzf"))):
            path = os.path.join(folder, "lines.hdf5")
            timed(f"packing {name}", len(order), partial(
                pack_lines, path, {"train": dataset}, alphabet, settings, progress=False))
            packed = open_dataset("hdf5", path=path)
            timed(f"reading {name} ({os.path.getsize(path) / 1e6:.0f} MB)", len(order),
                  partial(read_all, packed, order))


def memory(step):
    """Print the memory of this process: its own, and that of mapped files, which can be dropped."""
    with open("/proc/self/status", encoding="ascii") as source:
        sizes = dict(line.split(":", 1) for line in source)
    own, mapped = (int(sizes[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
    print(f"{step:34}  {own:7.0f} MiB and {mapped:4.0f} of files", flush=True)


def long_list(rows):
    """Open an index list of `rows` rows as training does; print the memory at each step."""
    from PIL import Image

    from ocr.batching import PreparedLines, TrainingBatches
    from ocr.training.trainer import _Labels

    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(1)
        Image.fromarray(rng.integers(0, 255, (32, 280), np.uint8)).save(f"{folder}/line.png")
        # Six folders that are all the same one make a million paths of one image.
        for digit in range(10):
            os.symlink(".", f"{folder}/{digit}")
        with open(f"{folder}/characters.txt", "w", encoding="utf-8") as out:
            out.writelines(f"{chr(0x4E00 + k)}\n" for k in range(5990))
        with open(f"{folder}/rows.txt", "w", encoding="utf-8") as out:
            for row in range(rows):
                indices = " ".join(map(str, rng.integers(0, 5990, 10)))
                out.write(f"{'/'.join(f'{row:07d}')}/line.png {indices}\n")
        print(f"{rows} rows, {os.path.getsize(f'{folder}/rows.txt') / 2 ** 20:.0f} MiB")
        memory("before")
        dataset = open_dataset("index", path=f"{folder}/rows.txt", stream=True,
                               characters=f"{folder}/characters.txt")
        memory("opened")
        alphabet = dataset.codec.alphabet()
        prepared = PreparedLines(dataset, PreprocessConfig(height=32, width=280, margin=0))
        memory("images measured")
        batches = TrainingBatches(prepared, _Labels(alphabet, prepared.dataset.samples), 64, None,
                                  1, lambda width: width // 8)
        memory("labels checked, ready to train")
        began, read = time.process_time(), 0
        for batch in batches.epoch(0):
            read += len(batch)
            if read >= 20_000:
                break
        rate = read / (time.process_time() - began)
        memory(f"{read} lines read, {rate:.0f} per CPU s")


def distortions(config_path, limit):
    """Print how many lines a second are distorted, by Pillow's mesh and by scikit-image."""
    from dataclasses import replace

    from PIL import Image
    from skimage.transform import AffineTransform, warp

    from ocr.base.randomness import generator
    from ocr.image import augment, prepare_line
    from ocr.image.augment import _draw_geometry, _geometry
    from ocr.image.preprocess import paper_of

    config = read_experiment(config_path)
    dataset = open_split(config.data, "train").spread(limit)
    lines = [prepare_line(dataset.image(i), config.preprocess) for i in range(len(dataset))]
    settings = replace(config.augment, probability=1.0)

    def by_warp(line, settings, rng):
        (height, width), cell = line.shape, settings.elastic_cell * line.shape[0]
        grow, squash, slant, angle, shift_x, shift_y, wide = _draw_geometry(
            height, width, settings, rng)
        turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0],
                         [0, 0, 1]])
        back = (AffineTransform(translation=(-wide / 2 - shift_x, -height / 2 - shift_y))
                + AffineTransform(turn) + AffineTransform(np.array([[1, slant, 0], [0, 1, 0],
                                                                    [0, 0, 1]]))
                + AffineTransform(np.array([[1 / grow, 0, width / 2],
                                            [0, 1 / squash, height / 2], [0, 0, 1]])))
        where = back
        if settings.elastic:
            nodes = max(1, round(height / cell)) + 1, max(1, round(wide / cell)) + 1
            moves = rng.normal(0, settings.elastic * height, (2, *nodes)).astype(np.float32)
            moves = [np.asarray(Image.fromarray(m).resize((wide, height), Image.BILINEAR))
                     for m in moves]
            (a, b, x), (c, d, y) = back.params[:2].astype(np.float32)
            xs, ys = np.arange(wide, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
            where = np.stack([c * xs + d * ys + y + moves[1], a * xs + b * ys + x + moves[0]])
        return warp(line.astype(np.float32), where, output_shape=(height, wide), order=1,
                    cval=float(paper_of(line)), preserve_range=True).round().astype(np.uint8)

    def distort_all(work, settings):
        for index, line in enumerate(lines):
            work(line, settings, generator(1, index))

    print(f"{len(lines)} lines of {settings}\n{'':34}  per CPU s      per s")
    for name, work in (("all distortions", augment), ("geometry, Pillow's mesh", _geometry),
                       ("geometry, scikit-image", by_warp)):
        for title, chosen in ((name, settings), (f"{name}, not elastic",
                                                 replace(settings, elastic=0.0))):
            timed(title, len(lines), partial(distort_all, work, chosen))


def main():
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=CONFIG, metavar="YAML")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--size", default="1024x128", metavar="WxH")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--distortions", action="store_true")
    arguments = parser.parse_args()
    if arguments.distortions:
        distortions(arguments.config, arguments.lines)
    elif arguments.rows:
        long_list(arguments.rows)
    else:
        sources(arguments.config, arguments.lines, arguments.size)


if __name__ == "__main__":
    main()
