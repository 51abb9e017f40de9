"""Feed broken files of every kind to the library: no traceback, no hang, no silent change of data.

    python experiments/broken_inputs.py [--count 1000] [--seed 1] [--family NAME ...]

Each family writes whole files of its own, breaks copies of them (flipped bits, cut ends, removed,
doubled and swapped pieces, hostile values) and reads them. A reading may succeed, or end in the
library's own error: one line. What carries a checksum must come out as it went in or not at all;
of a table every row that comes out must stand in the file. Everything follows from the seed.
Prints a row for each family; exit status 1 if anything failed, with the file kept in --keep.
"""

import argparse
import contextlib
import dataclasses
import filecmp
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
import zlib

import numpy as np
import yaml
from PIL import Image

from lm.base.errors import OCRError

#: Seconds after which a reading counts as hung, and the most memory that one may take.
LIMIT, MEMORY = 30, 8 << 30
HOSTILE = (b"nan", b"inf", b"-1", b"0", b"1e308", b"9" * 6000, b"\x00", b"\xff\xfe", b"[" * 3000,
           b"{" * 3000, "\u2028".encode(), "\u0085".encode(), b"\r", b"..", b"/dev/zero", b"%s%n",
           b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"null", b"true", b"2026-02-30", b"&a [*a]",
           "x\u0301".encode(), b"\x1b[31m", b"," * 500, b"\t\t", b"-" * 300)
VALUES = (None, True, -1, 0, 3, 0.5, 1e300, 2 ** 63, 10 ** 40, "", "x", "\ud800", "/dev/zero", [],
          {}, [[]], [None], ["x", 1], {"a": 1}, {"": []}, [0] * 50, "x" * 5000)


class Hang(BaseException):
    """A reading took longer than `LIMIT`."""


class Changed(Exception):
    """Data came out that did not go in."""


# -- breaking ---------------------------------------------------------------------------------

def break_bytes(data, rng):
    """Return a copy of `data` with one to three things wrong."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        kind, size = rng.randrange(8), len(data)
        at = rng.randrange(size) if size else 0
        end = min(size, at + rng.choice((1, 4, 16, 64, 1024)))
        if kind == 0 and size:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at:end]
        elif kind == 3:
            data[at:at] = data[at:end]
        elif kind == 4:
            data[at:end] = rng.choice(HOSTILE)
        elif kind == 5:
            data[at:at] = rng.choice(HOSTILE)
        elif kind == 6 and size:
            other = rng.randrange(size)
            data[at], data[other] = data[other], data[at]
        else:
            data[at:end] = bytes(rng.randrange(256) for _ in range(end - at))
    return bytes(data)


def break_json(value, rng):
    """Return whole JSON with one value in it another one, gone, or there twice."""
    value = json.loads(json.dumps(value))
    places, found = [], [value]
    while found:
        node = found.pop()
        inside = list(node.items() if isinstance(node, dict) else enumerate(node))
        places += [(node, key) for key, _ in inside]
        found += [child for _, child in inside if isinstance(child, (dict, list))]
    if not places or rng.random() < 0.03:
        return rng.choice(VALUES)
    node, key = rng.choice(places)
    kind = rng.randrange(8)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, list):
        node.insert(key, node[key])
    elif kind == 2:
        node[key] = json.loads(json.dumps(rng.choice(places)[0]))
    else:
        node[key] = rng.choice(VALUES)
    return value


def break_text(data, rng):
    """Like `break_bytes`, at the words, numbers, rows and JSON values of a text."""
    if rng.random() < 0.5:
        rows = data.split(b"\n") if b"}\n{" in data else [data]
        at = rng.randrange(len(rows))
        with contextlib.suppress(ValueError):
            rows[at] = json.dumps(break_json(json.loads(rows[at]), rng)).encode()
            return b"\n".join(rows)
    if rng.random() < 0.3:
        return break_bytes(data, rng)
    rows = data.split(b"\n")
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(rows))
        kind = rng.randrange(5)
        if kind == 0:
            del rows[at]
        elif kind == 1:
            rows.insert(at, rows[rng.randrange(len(rows))] if rows else b"")
        elif kind == 2:
            rows[at] = rows[at][:len(rows[at]) // 2]
        else:
            words = rows[at].replace(b'"', b'" ').replace(b":", b": ").split(b" ")
            words[rng.randrange(len(words))] = rng.choice(HOSTILE)
            rows[at] = b" ".join(words)
        rows = rows or [b""]
    return b"\n".join(rows)


def line_image(rng, width=160, height=40):
    """Return a grey picture with strokes."""
    image = np.full((height, width), 230, np.uint8)
    for _ in range(12):
        x, y = rng.randrange(5, width - 12), rng.randrange(8, height - 14)
        image[y:y + rng.randint(4, 10), x:x + 2] = 40
    return image


# -- families: each gives ways to make a broken case and to read it -----------------------------

class Family:
    """Files of one kind.

    Parameters
    ----------
    folder : str
        Where the whole files are written.
    """

    text = False

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.files = self.make(random.Random(0))

    def make(self, rng):
        """Write the whole files; return the paths that are broken in turn."""
        raise NotImplementedError

    def read(self, case):
        """Read the files below the folder `case`."""
        raise NotImplementedError

    def broken(self, case, rng):
        """Copy the files into `case`, one of them broken."""
        shutil.copytree(self.folder, case)
        path = os.path.join(case, os.path.relpath(rng.choice(self.files), self.folder))
        with open(path, "rb") as source:
            data = source.read()
        with open(path, "wb") as out:
            out.write((break_text if self.text else break_bytes)(data, rng))


class Images(Family):
    """Image files of several formats."""

    def make(self, rng):
        paths = []
        for ending in ("png", "jpg", "tif", "bmp", "gif", "webp"):
            paths.append(os.path.join(self.folder, f"line.{ending}"))
            Image.fromarray(line_image(rng)).save(paths[-1])
        paths.append(os.path.join(self.folder, "deep.tif"))
        Image.fromarray(line_image(rng).astype(np.uint16) * 257).save(paths[-1])
        return paths

    def read(self, case):
        from ocr.image.load import load_grey

        for name in sorted(os.listdir(case)):
            with contextlib.suppress(OCRError):
                image = load_grey(os.path.join(case, name))
                if image.dtype != np.uint8 or image.ndim != 2:
                    raise Changed(f"{name}: {image.dtype} {image.shape}")


class Tables(Family):
    """Tables of lines, TSV and CSV."""

    text = True

    def make(self, rng):
        texts = ["une ligne", "l'été, déjà", 'a "quoted" one', "x;y", "deux\u00a0mots"]
        for index in range(len(texts)):
            Image.fromarray(line_image(rng)).save(os.path.join(self.folder, f"{index}.png"))
        paths = [os.path.join(self.folder, "lines.tsv"), os.path.join(self.folder, "lines.csv")]
        with open(paths[0], "w", encoding="utf-8") as out:
            out.write("file\twriter\ttext\n")
            out.writelines(f"{i}.png\tw{i}\t{t}\n" for i, t in enumerate(texts))
        with open(paths[1], "w", encoding="utf-8") as out:
            out.write("file,writer,text\n")
            out.writelines('{}.png,w{},"{}"\n'.format(i, i, t.replace('"', '""'))
                           for i, t in enumerate(texts))
        return paths

    def read(self, case):
        from ocr.data import open_dataset

        for name in ("lines.tsv", "lines.csv"):
            path = os.path.join(case, name)
            with contextlib.suppress(OCRError):
                dataset = open_dataset("table", path=path)
                with open(path, encoding="utf-8-sig") as source:
                    content = " ".join(source.read().replace('""', '"').split())
                for sample in dataset.samples:
                    import unicodedata

                    if " ".join(sample.text.split()) not in unicodedata.normalize("NFC", content):
                        raise Changed(f"{name}: {sample.text!r} does not stand there")
                for index in range(len(dataset)):
                    dataset.image(index)


class IamTrees(Family):
    """Folders in IAM's format."""

    text = True

    def make(self, rng):
        from ocr.synthesis.synthetic import write_iam_tree

        write_iam_tree(self.folder, forms=6, lines_per_form=2, writers=4, seed=1, fonts="hershey")
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(self.folder)
                      for name in names if name.endswith((".txt", ".xml")))

    def read(self, case):
        from ocr.data import open_dataset

        for annotations in ("xml", "ascii"):
            for mode in ("line", "word", "form"):
                with contextlib.suppress(OCRError):
                    open_dataset("iam", root=case, mode=mode, annotations=annotations,
                                 split="official/train")


class Pages(Family):
    """Pages with PAGE XML and ALTO."""

    text = True

    PAGE = """<?xml version="1.0"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
<Page imageFilename="page.png" imageWidth="160" imageHeight="90">
<TextRegion id="r1"><Coords points="0,0 160,0 160,90 0,90"/>
<TextLine id="l1"><Coords points="2,2 150,2 150,40 2,40"/><Baseline points="2,34 150,34"/>
<TextEquiv index="0"><Unicode>une ligne</Unicode></TextEquiv></TextLine>
<TextLine id="l2"><Coords points="2,45 150,45 150,85 2,85"/><Baseline points="2,80 150,80"/>
<Word id="w1"><TextEquiv><Unicode>deux</Unicode></TextEquiv></Word></TextLine>
</TextRegion></Page></PcGts>
"""
    ALTO = """<?xml version="1.0"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description>
<MeasurementUnit>pixel</MeasurementUnit>
<sourceImageInformation><fileName>page.png</fileName></sourceImageInformation></Description>
<Layout><Page ID="p" WIDTH="160" HEIGHT="90"><PrintSpace><TextBlock ID="b">
<TextLine ID="l1" HPOS="2" VPOS="2" WIDTH="148" HEIGHT="38" BASELINE="2,34 150,34">
<Shape><Polygon POINTS="2,2 150,2 150,40 2,40"/></Shape>
<String CONTENT="une"/><SP/><String CONTENT="ligne"/></TextLine>
<TextLine ID="l2" HPOS="2" VPOS="45" WIDTH="148" HEIGHT="40" BASELINE="80">
<String CONTENT="deux"/></TextLine></TextBlock></PrintSpace></Page></Layout></alto>
"""

    def make(self, rng):
        Image.fromarray(line_image(rng, 160, 90)).save(os.path.join(self.folder, "page.png"))
        paths = []
        for name, xml in (("a.xml", self.PAGE), ("b.xml", self.ALTO)):
            os.makedirs(os.path.join(self.folder, name[0]), exist_ok=True)
            shutil.copy(os.path.join(self.folder, "page.png"), os.path.join(self.folder, name[0]))
            paths.append(os.path.join(self.folder, name[0], name))
            with open(paths[-1], "w", encoding="utf-8") as out:
                out.write(xml)
        return paths

    def read(self, case):
        from ocr.data import open_dataset
        from ocr.layout import read_segmentation

        for source, folder in (("page", "a"), ("alto", "b")):
            with contextlib.suppress(OCRError):
                dataset = open_dataset(source, path=os.path.join(case, folder), split="all")
                for index in range(len(dataset)):
                    with contextlib.suppress(OCRError):
                        dataset.image(index)
            with contextlib.suppress(OCRError):
                read_segmentation(os.path.join(case, folder, f"{folder}.xml"), (160, 90))


class Hdf5(Family):
    """HDF5 files of lines, packed ones and Flor's."""

    def make(self, rng):
        import h5py

        from ocr.cli.main import main

        tables = Tables(os.path.join(self.folder, "table"))
        packed = os.path.join(self.folder, "packed.hdf5")
        settings = os.path.join(self.folder, "pack.yaml")
        with open(settings, "w") as out:
            json.dump({"output": "none", "data": {"source": "table", "train":
                       {"path": tables.files[0]}, "validation": {"path": tables.files[1]},
                       "test": {"path": tables.files[1]}}}, out)
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            status = main(["pack", packed, "--config", settings])
        os.unlink(settings)
        if status:
            raise SystemExit("the lines could not be packed")
        flor = os.path.join(self.folder, "flor.hdf5")
        with h5py.File(flor, "w") as out:
            for split in ("train", "valid", "test"):
                out[f"{split}/dt"] = np.stack([line_image(rng, 256, 32) for _ in range(4)])
                out[f"{split}/gt"] = np.array([b"one", b"two", b"three", b"four"])
        shutil.rmtree(os.path.join(self.folder, "table"))
        return [flor, packed]

    def read(self, case):
        from ocr.data import open_dataset

        for name in ("packed.hdf5", "flor.hdf5"):
            path = os.path.join(case, name)
            if not os.path.exists(path):
                continue
            with contextlib.suppress(OCRError):
                dataset = open_dataset("hdf5", path=path, split="train")
                whole = open_dataset("hdf5", path=os.path.join(self.folder, name), split="train")
                known = {sample.id: sample.text for sample in whole.samples}
                for index, sample in enumerate(dataset.samples):
                    with contextlib.suppress(OCRError):
                        dataset.image(index)
                        if name[0] == "p" and known.get(sample.id) != sample.text:
                            raise Changed(f"{name}: {sample.id} reads {sample.text!r}")


class Checkpoints(Family):
    """Checkpoints of training."""

    def make(self, rng):
        from lm.base.settings import to_mapping
        from ocr.base.backend import mx
        from ocr.checkpoints.checkpoint import Checkpoint, save_checkpoint
        from ocr.checkpoints.settings import ExperimentConfig, ModelConfig
        from ocr.image import PreprocessConfig
        from ocr.models import get_model
        from ocr.models.weights import weights_of
        from ocr.text import Alphabet

        alphabet, options = Alphabet("abc "), {"body_channels": 8, "scale_channels": [8],
                                               "hidden": [4, 4], "layers": 1}
        net = get_model("small", alphabet.num_classes, height=32, **options)
        net.initialize(mx.init.Xavier())
        net(mx.nd.zeros((1, 1, 32, 64)), mx.nd.array([64]))
        path = os.path.join(self.folder, "best.ckpt")
        config = ExperimentConfig("run", preprocess=PreprocessConfig(height=32),
                                  model=ModelConfig("small", options))
        save_checkpoint(path, Checkpoint(to_mapping(config), alphabet, weights_of(net), {}))
        return [path]

    def broken(self, case, rng):
        super().broken(case, rng)
        if rng.random() < 0.5:
            # A whole archive whose contents are odd.
            path = os.path.join(case, "best.ckpt")
            with np.load(self.files[0]) as archive:
                values = {name: archive[name] for name in archive.files}
            name = rng.choice(sorted(values))
            if name == "meta" or rng.random() < 0.5:
                values["meta"] = np.frombuffer(break_text(values["meta"].tobytes(), rng), np.uint8)
            elif rng.random() < 0.5:
                del values[name]
            else:
                values[name] = values[name].astype(rng.choice((bool, complex, np.int8)))
            np.savez(path, **values)
            os.replace(path + ".npz", path)

    def read(self, case):
        from ocr.checkpoints.checkpoint import load_checkpoint
        from ocr.recognition import open_recogniser

        path = os.path.join(case, "best.ckpt")
        with contextlib.suppress(OCRError):
            whole, found = load_checkpoint(self.files[0]), load_checkpoint(path)
            for name, value in found.weights.items():
                if name in whole.weights and not np.array_equal(value, whole.weights[name]) \
                        and value.dtype == whole.weights[name].dtype:
                    raise Changed(f"{name} has other values")
            open_recogniser(path, device="cpu").recognise([line_image(random.Random(1))])


class Onnx(Family):
    """Exported models: a shipped one."""

    def make(self, rng):
        from ocr.checkpoints.shipped import model_path

        path = os.path.join(self.folder, "english.onnx")
        shutil.copy(model_path("english"), path)
        self.image = line_image(random.Random(1))
        self.truth = self._logits(path)
        return [path]

    def _logits(self, path):
        from ocr.recognition import open_recogniser

        return open_recogniser(path).logits_of_images([self.image])[0]

    def broken(self, case, rng):
        super().broken(case, rng)
        if rng.random() < 0.6:
            # The settings stand near one end; most of the file is weights.
            path = os.path.join(case, "english.onnx")
            with open(self.files[0], "rb") as source:
                data = source.read()
            at = data.index(b"ocr.settings")
            part = data[at:at + 4000]
            with open(path, "wb") as out:
                out.write(data.replace(part, break_text(part, rng)))

    def read(self, case):
        with contextlib.suppress(OCRError):
            logits = self._logits(os.path.join(case, "english.onnx"))
            if logits.shape != self.truth.shape or not np.allclose(logits, self.truth, atol=1e-4):
                raise Changed("other logits")


class Ngrams(Family):
    """n-gram models, as ARPA and packed, what tells about them, and their corpus."""

    text = True
    LINES = ("the cat sat", "a dog on the mat", "nothing of this")

    def make(self, rng):
        from lm import NgramConfig, load_ngram, train_ngram

        corpus = os.path.join(self.folder, "corpus.txt")
        with open(corpus, "w", encoding="utf-8") as out:
            out.write("the cat sat on the mat\na cat and a dog\nthe dog sat\n" * 5)
        name = os.path.join(self.folder, "words")
        train_ngram(NgramConfig(corpus=(corpus,), output=name, order=2, binary_type="none"))
        self.scores = self._scores(load_ngram(name + ".ngram"))
        # Alone, it tells all about itself.
        os.makedirs(os.path.join(self.folder, "packed"))
        packed = shutil.move(name + ".ngram", os.path.join(self.folder, "packed"))
        return [name + ".arpa", name + ".json", corpus, packed, packed]

    def _scores(self, model):
        list(model.unigram_probs())
        lines = [" ".join(model.tokenise(line)) for line in self.LINES]
        return [list(model.packed.full_scores(line)) for line in lines]

    def broken(self, case, rng):
        super().broken(case, rng)
        path = os.path.join(case, "packed", "words.ngram")
        if self._changed(path) and rng.random() < 0.5:
            # As if it had been written so: the checksum agrees.
            with open(self.files[-1], "rb") as source:
                data = source.read()
            begin = len(b"packed n-gram 1\n") + 12
            end = begin + int.from_bytes(data[begin - 12:begin - 4], "little")
            head, arrays = data[begin:end], data[end:]
            if rng.random() < 0.6:
                head = break_text(head, rng).ljust(end - begin)
            else:
                arrays = break_bytes(arrays, rng)
            with open(path, "wb") as out:
                out.write(data[:begin - 12] + len(head).to_bytes(8, "little")
                          + zlib.crc32(head + arrays).to_bytes(4, "little") + head + arrays)
            open(path + ".forged", "w").close()

    def _changed(self, path):
        whole = next(file for file in self.files if file.endswith(os.path.basename(path)))
        return not filecmp.cmp(path, whole, shallow=False)

    def read(self, case):
        from lm import NgramConfig, load_ngram, train_ngram

        packed, corpus = os.path.join(case, "packed", "words.ngram"), f"{case}/corpus.txt"
        with contextlib.suppress(OCRError):
            if self._changed(packed):
                found = self._scores(load_ngram(packed))
                if found != self.scores and not os.path.exists(packed + ".forged"):
                    raise Changed("other scores")
        with contextlib.suppress(OCRError):
            self._scores(load_ngram(os.path.join(case, "words.arpa")))
        with contextlib.suppress(OCRError):
            if self._changed(corpus):
                train_ngram(NgramConfig(corpus=(corpus,), output=f"{case}/new", order=2))


class Command(Family):
    """Base of families that are read by a command."""

    text = True

    def run(self, *arguments):
        """Run ``ocr`` in this process; what it prints must be whole lines of its own."""
        from ocr.cli.main import main

        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), \
                contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
            status = main(list(arguments))
        told = errors.getvalue()
        if status not in (0, 2) or "Traceback" in told:
            raise Changed(f"status {status}: {told[-300:]}")
        if status == 2 and len(told) > 3000:
            raise Changed(f"an error of {len(told)} characters")


class Yaml(Command):
    """Settings in YAML."""

    YAML = b"""output: OUT
alphabet: ascii
data:
  source: table
  train: {path: none.tsv}
  validation: {path: none.tsv}
preprocess: {height: 48}
augment: {probability: 0.9, scale_x: 0.3}
model: {name: small, options: {body_channels: 8}}
training:
  epochs: 1
  batch_size: 8
  learning_rate: 0.001
"""

    def make(self, rng):
        path = os.path.join(self.folder, "my.yaml")
        with open(path, "wb") as out:
            out.write(self.YAML)
        return [path]

    def broken(self, case, rng):
        super().broken(case, rng)
        if rng.random() < 0.5:
            # Whole, JSON being YAML.
            value = yaml.safe_load(self.YAML)
            for _ in range(rng.randint(1, 2)):
                value = break_json(value, rng)
                value = value if isinstance(value, dict) else {"data": value}
            with open(os.path.join(case, "my.yaml"), "w") as out:
                json.dump(value, out)

    def read(self, case):
        # The table is not there: nothing is trained, whatever the settings have become.
        self.run("train", "--config", os.path.join(case, "my.yaml"),
                 f"output={case}/run", "data.source=table",
                 f"data.train.path={case}/none.tsv", f"data.validation.path={case}/none.tsv")


class Json(Family):
    """JSON files: alphabet, pairs, errors, tuned decoders, reports, lines found and prepared."""

    text = True

    def make(self, rng):
        contents = {
            "alphabet.json": {"characters": "abc ", "replacement": None},
            "pipeline.json": {"decoder": {"name": "greedy"}, "correctors": []},
            "segmentation.json": {"image": "p.png", "width": 160, "height": 90, "lines": [
                {"text": "a", "polygon": [[2, 2], [150, 2], [150, 40], [2, 40]],
                 "baseline": [[2, 34], [150, 34]]}]},
        }
        for name, value in contents.items():
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as out:
                json.dump(value, out, indent=1)
        from lm.confusions import ConfusionModel
        from lm.denoising import DenoisingPair, write_pairs
        from lm.noise import NoiseModel
        from ocr.correction import PipelineConfig
        from ocr.decoding.calibration import Calibrator
        from ocr.evaluation.report import EvaluationReport, SystemResult
        from ocr.recognition.tuned import save_tuned

        pairs = [DenoisingPair(str(i), "la maison", "la maisom") for i in range(3)]
        write_pairs(os.path.join(self.folder, "pairs.jsonl"), pairs,
                    {"readings_of_training_lines": "none"})
        ConfusionModel.learn(pairs).save(os.path.join(self.folder, "confusions.json"))
        NoiseModel.learn(pairs).save(os.path.join(self.folder, "noise.json"))
        with open(os.path.join(self.folder, "model.ckpt"), "wb") as out:
            out.write(b"its weights")
        calibration = Calibrator(1.0, -0.5, 0.9, 0.1).to_dict()
        for name in ("beam", "greedy+spelling"):
            pipeline = dataclasses.replace(PipelineConfig.of(name), calibration=calibration)
            save_tuned(os.path.join(self.folder, "model.ckpt"), pipeline,
                       {"cer": 0.05, "wer": 0.1, "helps": True})
        EvaluationReport("table", "test", ["1", "2"], ["a b", "c"], [
            SystemResult("greedy", ["a b", "e"], 1.5, [0.9, 0.4], {})]).save_json(
                os.path.join(self.folder, "report.json"))
        self.table = Tables(self.folder + "-lines").files[0]
        self.lines = self._prepared(self.folder)
        return [os.path.join(self.folder, name) for name in sorted(os.listdir(self.folder))]

    def _prepared(self, cache):
        from ocr.batching.prepared import PreparedLines
        from ocr.data import open_dataset
        from ocr.image import PreprocessConfig

        lines = PreparedLines(open_dataset("table", path=self.table), PreprocessConfig(height=32),
                              cache, progress=False)
        return [lines[index].tolist() for index in range(len(lines))]

    def read(self, case):
        from lm.confusions import ConfusionModel
        from lm.denoising import read_pairs
        from lm.noise import NoiseModel
        from ocr.correction import load_pipeline
        from ocr.evaluation.report import EvaluationReport
        from ocr.layout import read_segmentation
        from ocr.recognition.tuned import pipeline_of, tuned_names
        from ocr.text import Alphabet

        def tuned(path):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tuned_names(path)
                pipeline_of(path).to_dict()

        def report(path):
            found = EvaluationReport.load_json(path)
            found.table(), found.to_json()

        for read, name in ((Alphabet.from_file, "alphabet.json"),
                           (load_pipeline, "pipeline.json"),
                           (lambda path: read_segmentation(path, (160, 90)), "segmentation.json"),
                           (read_pairs, "pairs.jsonl"), (ConfusionModel.load, "confusions.json"),
                           (NoiseModel.load, "noise.json"), (report, "report.json"),
                           (tuned, "model.ckpt")):
            with contextlib.suppress(OCRError):
                read(os.path.join(case, name))
        if self._prepared(case) != self.lines:
            raise Changed("lines from a cache are others")


class CommandLines(Command):
    """Command lines."""

    WHOLE = (("recognise", "IMAGE", "--model", "english", "--decoder", "greedy", "--lines", "one"),
             ("evaluate", "--checkpoint", "IMAGE", "--decoders", "greedy"),
             ("tune", "--checkpoint", "english", "--decoder", "beam-char", "--budget", "1"),
             ("train", "--config", "none.yaml", "training.epochs=3"),
             ("pack", "OUT", "data.source=table", "data.train.path=none.tsv"),
             ("synth", "OUT", "--forms", "0"), ("export", "IMAGE", "--onnx", "OUT"),
             ("average", "IMAGE", "IMAGE", "--output", "OUT"), ("list",))

    def make(self, rng):
        path = os.path.join(self.folder, "line.png")
        Image.fromarray(line_image(rng)).save(path)
        return [path]

    def broken(self, case, rng):
        os.makedirs(case)
        shutil.copy(self.files[0], case)
        words = list(rng.choice(self.WHOLE))
        for _ in range(rng.randint(1, 3)):
            kind, at = rng.randrange(4), rng.randrange(1, len(words) + 1)
            value = rng.choice(HOSTILE).decode("utf-8", "surrogateescape").replace("\0", "0")
            if kind == 0:
                words.insert(at, value)
            elif kind == 1 and at < len(words):
                words[at] = value
            elif kind == 2 and at < len(words):
                del words[at]
            else:
                words.insert(at, f"{rng.choice(('model', 'data.x', 'training.epochs'))}={value}")
        if words[0] == "synth" and "--forms" not in words:
            # Nothing wrong with it, but many forms take their time.
            words += ["--forms", "0"]
        with open(os.path.join(case, "words.json"), "w") as out:
            json.dump(words, out)

    def read(self, case):
        with open(os.path.join(case, "words.json")) as source:
            words = json.load(source)
        places = {"IMAGE": os.path.join(case, "line.png"), "OUT": os.path.join(case, "out")}
        before = os.getcwd()
        os.chdir(case)
        try:
            self.run(*(places.get(word, word) for word in words))
        except SystemExit as leave:
            if leave.code not in (0, 2, None):
                raise Changed(f"exit {leave.code}") from None
        finally:
            os.chdir(before)


FAMILIES = {"images": Images, "tables": Tables, "iam": IamTrees, "pages": Pages, "hdf5": Hdf5,
            "checkpoints": Checkpoints, "onnx": Onnx, "ngrams": Ngrams, "yaml": Yaml, "json": Json,
            "command-lines": CommandLines}


def run_family(name, count, seed, keep=None, say=print):
    """Read `count` broken cases of a family; returns the number that failed."""
    def hang(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, hang)
    failures = {}
    with tempfile.TemporaryDirectory() as folder:
        family = FAMILIES[name](os.path.join(folder, "whole"))
        for number in range(count):
            rng = random.Random(f"{seed}/{name}/{number}")
            case = os.path.join(folder, "case")
            family.broken(case, rng)
            signal.alarm(LIMIT)
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    family.read(case)
            except Hang:
                failures[number] = "hangs"
            except Exception as error:  # noqa: BLE001 - any of them is a finding
                last = traceback.extract_tb(error.__traceback__)[-1]
                failures[number] = (f"{type(error).__name__}: {str(error)[:160]!r} "
                                    f"({os.path.basename(last.filename)}:{last.lineno})")
            finally:
                signal.alarm(0)
            if number in failures:
                say(f"  {name} {number}: {failures[number]}")
                if keep:
                    shutil.copytree(case, os.path.join(keep, f"{name}-{number}"),
                                    dirs_exist_ok=True)
            shutil.rmtree(case)
    signal.signal(signal.SIGALRM, before)
    say(f"{name}: {count} broken, {len(failures)} failed")
    return len(failures)


def main():
    """Run the families; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--family", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--keep", metavar="FOLDER", help="where cases that fail are kept")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    failed = [run_family(name, arguments.count, arguments.seed, arguments.keep)
              for name in arguments.family]
    return 1 if any(failed) else 0


if __name__ == "__main__":
    sys.exit(main())
