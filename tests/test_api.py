"""What ``import ocr`` offers."""

import json
import os
import re
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import ocr
from lm.base.errors import ConfigError, DataError, MissingDataError, UnknownNameError
from ocr.recognition import reading

from .conftest import draw_text
from .export.networks import write_checkpoint
from .layout.pages import draw_page
from .training.test_trainer import TINY_MODEL


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("model") / "m.ckpt", "captcha")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name in ("a.png", "deep/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(draw_text(f"une ligne {name}")).save(folder / name)
    frames = [Image.fromarray(draw_page((text,))[0]).resize((500, 200)) for text in ("un", "deux")]
    frames[0].save(folder / "two.tiff", save_all=True, append_images=frames[1:])
    return folder


def test_the_names_are_there_before_anything_is_imported():
    code = ("import sys, ocr; assert set(ocr.__all__) - {'__version__'} <= set(dir(ocr)); "
            "assert not {'mxnet', 'numpy', 'PIL'} & set(sys.modules); "
            "print(' '.join(name for name in ocr.__all__ if getattr(ocr, name) is not None))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert done.returncode == 0, done.stderr
    names = set(done.stdout.split())
    assert names == set(ocr.__all__) and "recognize" in names and "IAMDataset" in names
    with pytest.raises(AttributeError, match="recognice"):
        _ = ocr.recognice
    # Completion of editors reads the same list.
    with open(ocr.__file__ + "i", encoding="utf-8") as stub:
        assert set(re.findall(r'^    "(\w+)",$', stub.read(), re.M)) == names - {"__version__"}
    assert ocr.list_models() == ["english", "french"]


def test_one_or_many_in_any_form(model, folder):
    path = folder / "a.png"
    image = Image.open(path)
    one = ocr.recognise(path, model=model, lines="one")
    assert isinstance(one, ocr.PageReading) and one.name == str(path)
    for same in (str(path), path.read_bytes(), np.asarray(image), image):
        assert ocr.recognize(same, model=model, lines="one") == one
    reader = ocr.open_model(model, lines="one")
    many = ocr.recognise([path, image, np.asarray(image)], model=reader)
    assert isinstance(many, ocr.Readings) and many == [one] * 3
    assert [page.name for page in many] == [str(path), "image 2", "image 3"]
    taken = []
    lazily = ocr.recognise((taken.append(n) or image for n in range(1000)), model=reader)
    assert next(lazily) == one and len(taken) < 100
    assert [page.name for page in ocr.recognise(folder, model=reader)] == [
        str(folder / "a.png"), *[str(folder / "two.tiff")] * 2, str(folder / "deep/b.png")]
    pages = ocr.recognise(folder / "two.tiff", model=reader)
    assert [page.title for page in pages] == [f"{folder / 'two.tiff'}[{n}]" for n in (1, 2)]
    assert ocr.recognise(folder / "two.tiff", model=reader, pages="2") == pages[1:]
    assert ocr.recognise((folder / "two.tiff").read_bytes(), model=reader) == pages
    assert ocr.recognise([], model=reader) == []


def test_what_cannot_be_read(model, folder, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    reader = ocr.open_model(model, lines="one")
    with pytest.raises(MissingDataError, match="none.png: no such image"):
        ocr.recognise("none.png", model=reader)
    with pytest.raises(DataError, match="image: not a readable image"):
        ocr.recognise(b"nothing", model=reader)
    with pytest.raises(DataError, match="expected a path, bytes, an array .* not int"):
        ocr.recognise(5, model=reader)
    images = [tmp_path / "broken.png", folder / "a.png", np.zeros((2, 2, 2, 2), np.uint8)]
    with pytest.raises(DataError, match="broken.png: not a readable image"):
        ocr.recognise(images, model=reader)
    with pytest.warns(UserWarning) as told:
        assert len(ocr.recognise(images, model=reader, on_error="skip")) == 1
    told = [str(warning.message) for warning in told if warning.category is UserWarning]
    assert len(told) == 2 and "broken.png" in told[0] and told[1].startswith("image 3: expected")
    with pytest.raises(ConfigError, match="known: raise, skip"):
        ocr.recognise(images, model=reader, on_error="ignore")
    with pytest.raises(ConfigError, match="an open model has its settings"):
        ocr.recognise(images, model=reader, decoder="greedy")
    with pytest.raises(UnknownNameError, match="neither a model file nor a shipped model"):
        ocr.recognise(images, model="frnch")


def test_results_are_saved_by_ending_and_shown(model, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    page = ocr.recognise("two.tiff", model=model, lines="one")[0]
    page.save(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == page.text + "\n"
    page.save(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == page.to_dict()
    page.save(tmp_path / "a.xml", format="alto")
    # The image is found from the file.
    name = re.search("<fileName>(.*)</fileName>", (tmp_path / "a.xml").read_text())[1]
    assert (tmp_path / name).resolve() == (folder / "two.tiff").resolve()
    with pytest.raises(DataError, match="a.txt exists; overwrite=True replaces it"):
        page.save(tmp_path / "a.txt")
    page.save(tmp_path / "a.txt", overwrite=True)
    with pytest.raises(ConfigError, match="no output format has this ending"):
        page.save(tmp_path / "a.docx")
    pages = ocr.recognise("two.tiff", model=model, lines="one")
    with pytest.raises(DataError, match="holds one page, not 2"):
        pages.save(tmp_path / "all.xml")
    pages.save(tmp_path / "all.json")
    assert [json.loads(row)["page"] for row in open(tmp_path / "all.json")] == [1, 2]
    assert pages.to_dict() == [page.to_dict() for page in pages]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.txt", "a.xml", "all.json"]
    shown = page.show()
    assert shown.size == (page.width, page.height) and shown.mode == "RGB"
    plain = np.asarray(page.image().convert("RGB"))
    assert (np.asarray(shown) != plain).any()
    html = page._repr_html_()
    assert html.startswith('<img src="data:image/jpeg;base64,') and "<ol>" in html
    assert pages._repr_html_().count("<img") == 2


def test_a_model_is_opened_once_and_anew_when_it_changes(model, folder):
    opened = reading._open_reader.cache_info().misses
    for _ in range(2):
        ocr.recognise(folder / "a.png", model=model, lines="one", decoder="greedy", n_best=2)
    assert reading._open_reader.cache_info().misses == opened + 1
    os.utime(model)
    ocr.recognise(folder / "a.png", model=model, lines="one", decoder="greedy", n_best=2)
    assert reading._open_reader.cache_info().misses == opened + 2


def test_the_script_of_the_documentation(tmp_path):
    pytest.importorskip("pyctcdecode")
    pytest.importorskip("kenlm")
    with open("docs/python.md", encoding="utf-8") as source:
        [script] = [block for block in re.findall(r"```python\n(.*?)```", source.read(), re.S)
                    if "ocr.train" in block]
    assert len([row for row in script.splitlines() if row.strip()]) <= 25
    quick = {"training={\"epochs\": 60}": f"model={TINY_MODEL}, preprocess={{'height': 32}}, "
             "alphabet='data', augment=None, training={'epochs': 2, 'device': 'cpu'}",
             "budget_minutes=10": "budget_minutes=0.02"}
    for there, instead in quick.items():
        assert there in script
        script = script.replace(there, instead)
    (tmp_path / "job.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    for command in (["-m", "ocr", "synth", "IAM", "--forms", "10", "--lines-per-form", "3",
                     "--writers", "10", "--fonts", "hershey"], ["job.py"]):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True,
                              text=True, env=environment)
        assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert re.match(r"\d+ lines; the first: \(\d+, \d+\) .", first) and " -> " in last
    assert re.search(r"^greedy .*\n(.*\n)*beam-lm ", done.stdout, re.M)
    assert os.listdir(tmp_path / "runs" / "iam" / "logs")
    pairs = json.loads((tmp_path / "typo" / "validation.json").read_text())
    assert pairs[0][0] == last.split(" -> ")[0]
    assert (tmp_path / "runs" / "iam" / "best.ckpt.decoder-beam-lm.json").exists()


def test_settings_of_jobs(tmp_path, model):
    with pytest.raises(UnknownNameError, match="recipes: copiste"):
        ocr.train("copist")
    with pytest.raises(ConfigError, match="epoch"):
        ocr.train({"output": str(tmp_path)}, training={"epoch": 3})
    with pytest.raises(UnknownNameError, match="nosuch"):
        ocr.evaluate(model, ["greedy"], data={"source": "nosuch"})
    assert not os.listdir(tmp_path)
    lines = ocr.SyntheticDataset(lines=6, writers=3, seed=1, fonts="hershey", height=60)
    assert isinstance(lines[0][1], str)
    report = ocr.evaluate(model, ["greedy"], data={"source": "synthetic", "options": {
        "lines": 4, "writers": 2, "fonts": "hershey"}})
    assert [system.name for system in report.systems] == ["greedy"]
    pairs = ocr.denoising_pairs(model, data={"source": "synthetic", "options": {
        "lines": 4, "writers": 2, "fonts": "hershey"}})
    assert len(pairs) == 4 and all(pair.truth for pair in pairs)


def test_bytes_of_a_photo_are_turned_as_exif_says(model):
    line = Image.fromarray(draw_text("une ligne de texte"))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = BytesIO()
    line.transpose(Image.Transpose.ROTATE_90).save(stream, "PNG", exif=exif)
    found = ocr.recognise(stream.getvalue(), model=model, lines="one")
    assert (found.width, found.height) == line.size
    assert found == ocr.recognise(line, model=model, lines="one")
