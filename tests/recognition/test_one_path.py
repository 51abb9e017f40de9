"""One line, every way it can go through the library: the same pixels, the same logits."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import ocr
from lm.base.settings import to_mapping
from ocr.batching import PreparedLines, TrainingBatches
from ocr.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from ocr.cli.main import main
from ocr.correction import PipelineConfig
from ocr.data import open_dataset
from ocr.data.packing import PackSettings, pack_lines
from ocr.evaluation.run import evaluate
from ocr.export import export_onnx
from ocr.image import PreprocessConfig, load_grey
from ocr.layout import read_segmentation
from ocr.recognition import PageReader, open_recogniser
from ocr.recognition.network import Recogniser

from ..conftest import draw_text
from ..export.networks import ALPHABET, write_checkpoint

TEXT = "abc de"
PLAIN = PreprocessConfig(height=13, margin=3)
#: Settings, and how the line is given.
CASES = {
    "uneven": (PLAIN, "file"), "light": (dataclasses.replace(PLAIN, polarity="light"), "file"),
    "turned": (PLAIN, "file"), "sixteen": (PLAIN, "file"),
    "as it is": (dataclasses.replace(PLAIN, cleaning="none", polarity="dark"), "file"),
    "upright": (dataclasses.replace(PLAIN, cleaning="even", deslant=True), "file"),
    "black": (dataclasses.replace(PLAIN, binarise="otsu"), "file"),
    "polygon": (PLAIN, "page"), "slope": (PLAIN, "page"),
    "packed": (dataclasses.replace(PLAIN, deslant=True), "packed"),
    "cleaned": (dataclasses.replace(PLAIN, cleaning="even"), "packed")}


def photo(seed=3):
    """A line under a lamp: paper from 110 to 240, with grain."""
    line = draw_text(TEXT * 3, height=40, seed=seed).astype(float)
    light = np.linspace(0.45, 0.95, line.shape[1])
    grain = np.random.default_rng(seed).normal(0, 4, line.shape)
    return np.clip(line * light + grain, 0, 255).astype(np.uint8)


def write_line(folder, name):
    """Write the image of a case, and a table of it; returns the image's path."""
    image, options, path = Image.fromarray(photo()), {}, folder / "line.png"
    if name == "light":
        image = Image.fromarray(255 - photo())
    if name == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        image, options = image.transpose(Image.ROTATE_90), {"exif": exif}
    if name == "sixteen":
        image = Image.fromarray(photo().astype(np.uint16) * 257)
    image.save(path, **options)
    (folder / "t.tsv").write_text(f"file\ttext\nline.png\t{TEXT}\n")
    return str(path)


def write_page(folder, slope):
    """Write a page with two lines as PAGE XML, the outline of the first with a step."""
    page = np.full((160, 420), 225, np.uint8)
    page[20:60, 20:20 + photo().shape[1]] = photo()
    page[55:95, 20:20 + photo(4).shape[1]] = np.minimum(photo(4), page[55:95, 20:20 + photo(4)
                                                                       .shape[1]])
    Image.fromarray(page).save(folder / "p.png")
    outline = f"20,20 150,20 150,26 250,{26 + slope} 250,{58 + slope} 20,56"
    (folder / "p.xml").write_text(
        '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page '
        'imageFilename="p.png" imageWidth="420" imageHeight="160"><TextRegion id="r"><TextLine '
        f'id="l"><Coords points="{outline}"/><Baseline points="20,50 250,{50 + slope}"/>'
        f'<TextEquiv><Unicode>{TEXT}</Unicode></TextEquiv></TextLine></TextRegion></Page>'
        '</PcGts>')
    return str(folder / "p.png")


@pytest.mark.parametrize("name", CASES)
def test_the_same_line_gives_the_same_logits_everywhere(name, tmp_path, monkeypatch):
    preprocess, kind = CASES[name]
    checkpoint = load_checkpoint(write_checkpoint(tmp_path / "x.ckpt", "captcha"))
    checkpoint.config["preprocess"] = to_mapping(preprocess)
    model = str(tmp_path / "best.ckpt")
    save_checkpoint(model, checkpoint)
    if kind == "page":
        path = write_page(tmp_path, 6 if name == "slope" else 0)
        dataset = open_dataset("page", path=str(tmp_path / "p.xml"))
        segmentation = read_segmentation(str(tmp_path / "p.xml"), (420, 160))
        arguments = ["--segmentation", str(tmp_path / "p.xml")]
    else:
        path = write_line(tmp_path, name)
        dataset, segmentation = open_dataset("table", path=str(tmp_path / "t.tsv")), None
        arguments = ["--lines", "one"]
    image = dataset.image(0)
    if kind == "packed":
        pack_lines(tmp_path / "l.hdf5", {"train": dataset}, ALPHABET, PackSettings(
            {"packed": "scaled"}.get(name, "cleaned"), preprocess), progress=False)
        dataset = open_dataset("hdf5", path=str(tmp_path / "l.hdf5"))

    seen, read = [], Recogniser.read_arrays

    def watched(self, images, widths):
        logits, frames = read(self, images, widths)
        seen.append((images[..., :int(widths[0])], logits[0, :int(frames[0])]))
        return logits, frames

    monkeypatch.setattr(Recogniser, "read_arrays", watched)
    recogniser = open_recogniser(model, "cpu")
    prepared = PreparedLines(dataset, preprocess, progress=False)
    [batch] = TrainingBatches(prepared, [ALPHABET.encode(TEXT)], 1, None, 1,
                              recogniser.net.frame_count).epoch(0)
    recogniser.read_arrays(batch.images, batch.widths)
    ways = ["training"]

    def went(way):
        ways.extend([way] * (len(seen) - len(ways)))
        assert ways[-1] == way, f"{way} read nothing"

    evaluate(recogniser, dataset, [PipelineConfig()])
    went("evaluate")
    recogniser.recognise([image], "greedy")
    went("Recogniser.recognise")
    PageReader(recogniser, lines="one").read(load_grey(path), segmentation)
    went("PageReader")
    assert main(["recognise", path, "--model", model, "--decoder", "greedy", *arguments]) == 0
    went("ocr recognise")
    if segmentation is None:
        ocr.recognise(path, model=model, lines="one")
        went("ocr.recognise")
        pytest.importorskip("fastapi")
        from ..serving import conftest as serving

        services = serving.Services(tmp_path)
        try:
            client, _ = services.start(models={"m": model}, open_model=None, poll=0)
            with open(path, "rb") as file:
                assert client.recognise(("line.png", file.read()), query="?lines=one").status == 200
        finally:
            services.end()
        # What is read first when a model is opened is blank.
        del seen[len(ways):-1]
        went("the service")
    assert np.ptp(seen[0][0]) > 0.5
    for way, (pixels, logits) in zip(ways, seen):
        np.testing.assert_array_equal(pixels, seen[0][0], way)
        np.testing.assert_array_equal(logits, seen[0][1], way)
    pytest.importorskip("onnxruntime")
    export_onnx(recogniser, str(tmp_path / "m.onnx"))
    light = open_recogniser(tmp_path / "m.onnx")
    assert light.preprocess == preprocess
    np.testing.assert_allclose(light.logits_of_images([image])[0], seen[0][1], atol=1e-4)
