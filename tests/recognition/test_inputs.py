import io

import numpy as np
import pytest
from PIL import Image

from lm.base.errors import ConfigError, DataError
from ocr.recognition.inputs import Document, ImageSource, find_documents, parse_pages

LINE = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (40, 1)))


def test_pages():
    assert parse_pages("1-3,7, 10-") == ((1, 3), (7, 7), (10, None))
    for wrong in ("", "0", "3-1", "a", "1,,2", "-3", "1-2-3", "9" * 20):
        with pytest.raises(ConfigError, match="pages '"):
            parse_pages(wrong)


def test_pages_are_taken_in_the_order_asked_for(tmp_path):
    frames = [LINE.resize((100 + n, 30)) for n in range(5)]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    [document] = find_documents([tmp_path / "a.tiff"], parse_pages("4-9,1"))
    sources = document.sources()
    assert [source.page for source in sources] == [4, 5, 1]
    assert [source.load().size for source in sources] == [(103, 30), (104, 30), (100, 30)]
    assert [source.title for source in sources][0] == f"{tmp_path / 'a.tiff'}[4]"
    # A range behind the name goes before the one for all.
    [document] = find_documents([f"{tmp_path / 'a.tiff'}[2]"], parse_pages("4"))
    assert [source.page for source in document.sources()] == [2]


def test_a_name_that_exists_is_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "a.png[1]", "*.png", "@list", "line.txt"):
        LINE.save(tmp_path / name, "PNG")
    assert [found.name for found in find_documents(["a.png[1]", "*.png", "@list", "line.txt"])] \
        == ["a.png[1]", "*.png", "@list", "line.txt"]
    [document] = find_documents(["a.png"], parse_pages("2"))
    with pytest.raises(DataError, match="a.png: has one page alone"):
        document.sources()


def test_what_stands_for_nothing_is_told_and_the_rest_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    LINE.save("a.png")
    (tmp_path / "list.txt").write_text("none.png\na.png\n")
    found = list(find_documents(["@list.txt", "a.png", "*.gif"]))
    assert [isinstance(one, Document) for one in found] == [False, True, True, False]
    assert "none.png: no such image" in str(found[0])


def test_a_photo_with_a_second_picture_in_it_is_one_image(tmp_path):
    LINE.convert("RGB").save(tmp_path / "a.jpg", "MPO", save_all=True,
                             append_images=[LINE.convert("RGB").resize((50, 10))])
    for origin in (str(tmp_path / "a.jpg"), (tmp_path / "a.jpg").read_bytes()):
        [source] = Document("a", origin, "a").sources()
        assert source.page is None and source.load().size == LINE.size


def test_pages_of_a_pdf_fit_what_is_allowed():
    pytest.importorskip("pypdfium2")
    stream = io.BytesIO()
    LINE.resize((600, 300)).save(stream, "PDF", resolution=300)
    [source] = Document("a.pdf", stream.getvalue(), "a").sources()
    assert source.page == 1 and source.load().size == (600, 300)
    small = ImageSource("a.pdf", stream.getvalue(), 1, max_pixels=5000).load()
    assert small.width * small.height <= 5000 and small.width == pytest.approx(2 * small.height, 1)


def test_heic(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"a.heic: reading HEIC needs pillow-heif: pip install "):
        Document("a.heic", str(tmp_path / "a.heic"), "a").sources()
    monkeypatch.undo()
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    LINE.convert("RGB").save(tmp_path / "b.heic")
    [source] = Document("b.heic", str(tmp_path / "b.heic"), "b").sources()
    assert source.load().size == LINE.size
