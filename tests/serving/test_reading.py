"""A model in the steps of a service, and a real one from end to end."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.base.errors import OCRError
from ocr.layout import can_find_lines
from ocr.recognition.pages import PageReader
from ocr.serving.config import ServingConfig
from ocr.serving.reading import ServedRecogniser, open_served

from .fakes import CHARACTERS, BarRecogniser, draw_bars


def logits_of(model, page):
    logits = []
    for array in page.arrays:
        width = -(-array.shape[1] // model.width_step) * model.width_step
        images = np.zeros((1, 1, model.height, width), np.float32)
        images[0, 0, :, :array.shape[1]] = array
        values, frames = model.run(images, np.array([array.shape[1]], np.float32))
        logits.append(values[0, :int(frames[0])])
    return logits


@settings(max_examples=15)
@given(st.lists(st.text(CHARACTERS.replace(" ", ""), min_size=1, max_size=12), min_size=1,
                max_size=4))
def test_pages_read_together_are_as_a_page_reader_reads_each(texts):
    model = ServedRecogniser(BarRecogniser())
    pages = [model.open_page(draw_bars(text), "one") for text in texts]
    logits = [one for page in pages for one in logits_of(model, page)]
    reader = PageReader(BarRecogniser(), lines="one")
    expected = [reader.read(draw_bars(text)) for text in texts]
    assert model.finish(pages, logits) == expected
    assert [page.text for page in expected] == texts


def test_threads_read_with_one_model_at_once():
    pytest.importorskip("pyctcdecode")
    model, texts = ServedRecogniser(BarRecogniser()), ["abc", "de f", "ghi", "jklm no"] * 6
    pages = [model.open_page(draw_bars(text), "one") for text in texts]
    work = [([page], logits_of(model, page), 3) for page in pages]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda one: model.finish(*one), work))
    assert read == [model.finish(*one) for one in work]
    assert [page.text for [page] in read] == texts


@pytest.mark.skipif(not can_find_lines(), reason="scikit-image is not installed")
@settings(max_examples=25)
@given(st.integers(1, 60), st.integers(1, 400), st.sampled_from(["blank", "noise", "bars"]),
       st.booleans())
def test_any_image_can_be_looked_through_for_lines(height, width, kind, turned):
    rng = np.random.default_rng(height * width)
    grey = {"blank": np.full((height, width), 200, np.uint8),
            "noise": rng.integers(0, 256, (height, width), dtype=np.uint8),
            "bars": np.resize(np.repeat([0, 255], 7), (height, width)).astype(np.uint8)}[kind]
    model = ServedRecogniser(BarRecogniser())
    page = model.open_page(grey.T if turned else grey, "find")
    [reading] = model.finish([page], logits_of(model, page), 2)
    assert len(reading.lines) == len(page.arrays)


def test_a_file_that_is_no_model_is_an_error(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(OCRError, match="a.onnx"):
        open_served(str(tmp_path / "a.onnx"), ServingConfig())


@pytest.mark.parametrize("name", ["small", "original"])
def test_a_real_network_gives_the_same_as_checkpoint_and_as_onnx_file(name, tmp_path, running):
    for module in ("mxnet", "onnx", "onnxruntime"):
        pytest.importorskip(module)
    from ocr.export import export_onnx

    from ..export.networks import grey_images, write_checkpoint
    from .conftest import png

    checkpoint = write_checkpoint(tmp_path / "best.ckpt", name)
    export_onnx(checkpoint, str(tmp_path / "tiny.onnx"))
    client, _ = running(models={"mx": checkpoint, "onnx": str(tmp_path / "tiny.onnx")},
                        open_model=None)
    images, texts, logits = grey_images(5), {}, {}
    for model in ("mx", "onnx"):
        answer = client.recognise(*map(png, images), query=f"?lines=one&model={model}")
        texts[model] = [page["text"] for page in answer.json["images"]]
        shape = client.get(f"/v1/models/{model}/metadata").json["metadata"]["signature_def"][
            "signature_def"]["serving_default"]["inputs"]["images"]["tensor_shape"]["dim"]
        height, width = (int(d["size"]) for d in shape[2:])
        assert (width > 0) == (name == "original")
        values = np.linspace(0, 1, height * (130 if width < 0 else width)).reshape(height, -1)
        logits[model] = client.post(f"/v1/models/{model}:predict",
                                    {"inputs": [values.tolist()] * 2}).json["outputs"]
    assert texts["mx"] == texts["onnx"] and any(texts["mx"])
    np.testing.assert_allclose(logits["mx"], logits["onnx"], atol=1e-4)
