"""Images from outside: every damage is an error of the request's, never of the service's."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from ocr.serving.documents import Document
from ocr.serving.errors import BadRequest, TooLarge
from ocr.serving.reading import ServedRecogniser

from .fakes import BarRecogniser, draw_bars

LIMIT = 2_000_000
# Pillow warns of damage.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def encoded():
    """Return {name: bytes} of one image in many formats and modes."""
    grey = Image.fromarray(draw_bars("some text here"))
    colour = Image.merge("RGB", [grey] * 3)
    noise = np.random.default_rng(1).integers(0, 65536, (40, 50)).astype(np.uint16)
    kinds = {"png": (grey, "PNG", {}), "palette": (colour.quantize(16), "PNG", {}),
             "alpha": (colour.convert("RGBA"), "PNG", {}), "one": (grey.convert("1"), "PNG", {}),
             "sixteen": (Image.fromarray(noise), "PNG", {}), "jpeg": (colour, "JPEG", {}),
             "progressive": (colour, "JPEG", {"progressive": True}),
             "cmyk": (colour.convert("CMYK"), "JPEG", {}), "gif": (grey, "GIF", {}),
             "animated": (grey, "GIF", {"save_all": True, "append_images": [grey, grey]}),
             "tiff": (grey, "TIFF", {}), "pages": (
                 grey, "TIFF", {"save_all": True, "append_images": [grey]}),
             "bmp": (colour, "BMP", {}), "ppm": (colour, "PPM", {})}
    if features.check("libtiff"):
        kinds.update(lzw=(grey, "TIFF", {"compression": "tiff_lzw"}),
                     fax=(grey.convert("1"), "TIFF", {"compression": "group4"}))
    if features.check("webp"):
        kinds["webp"] = (colour, "WEBP", {"lossless": True})
    files = {}
    for name, (image, format, options) in kinds.items():
        out = io.BytesIO()
        image.save(out, format, **options)
        files[name] = out.getvalue()
    return files


FILES = encoded()


def read_image(data, name, max_pixels):
    """The first page of a file, grey."""
    return Document(data, name, max_pixels).grey(0)


MODEL = ServedRecogniser(BarRecogniser())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_head(width, height, rest=b""):
    """A PNG that announces a size and holds next to nothing."""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0,
                                                            0, 0)) + rest


@pytest.mark.parametrize("name", FILES)
def test_formats(name):
    grey = read_image(FILES[name], name, LIMIT)
    assert grey.dtype == np.uint8 and grey.ndim == 2
    if name not in ("sixteen", "jpeg", "progressive", "cmyk"):
        np.testing.assert_array_equal(grey, draw_bars("some text here"))


def test_a_photo_is_turned_upright():
    image = Image.fromarray(draw_bars("ab"))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    assert read_image(out.getvalue(), "x", LIMIT).shape == draw_bars("ab").T.shape


@pytest.mark.parametrize("width, height", [(60_000, 60_000), (2**31 - 1, 2**31 - 1),
                                           (2**31 - 1, 1), (2001, 1000)])
def test_bombs_are_refused_before_they_are_unpacked(width, height):
    with pytest.raises(TooLarge, match="2000000 allowed"):
        read_image(png_head(width, height, chunk(b"IDAT", zlib.compress(b"\0" * 10_000))),
                   "x", LIMIT)


@pytest.mark.parametrize("data", [
    b"", b"\0" * 1000, b"text", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.4\n", b"P5\n99999 99999\n255\n",
    b"P5\n-1 3\n255\n", b"P6 2 2 99999999999 ", b"GIF89a" + b"\xff" * 7, b"BM" + b"\xff" * 60,
    b"II*\0" + b"\xff" * 100, b"MM\0*\0\0\0\x08\xff\xff" + b"\0" * 50,
    b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"\xff\xd8\xff" + b"\xff" * 100,
    png_head(0, 0), png_head(1, 1), png_head(100, 100, chunk(b"IDAT", b"not deflate")),
    png_head(10, 10, chunk(b"iTXt", b"\0" * 5)), b"\x89PNG\r\n\x1a\n" + b"\xff" * 40])
def test_what_is_no_image_is_refused(data):
    with pytest.raises((BadRequest, TooLarge), match="^it"):
        read_image(data, "it", LIMIT)


@settings(max_examples=120)
@given(st.data())
def test_damaged_images_are_read_or_refused(data):
    """No other error comes out, whatever was cut off, changed or put in."""
    content = bytearray(data.draw(st.sampled_from(list(FILES.values()))))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        kind = data.draw(st.sampled_from(["change", "insert", "remove"]))
        content[at:at + (0 if kind == "insert" else len(piece))] = \
            b"" if kind == "remove" and len(content) > 20 else piece
    content = bytes(content[:data.draw(st.integers(0, len(content)))] if data.draw(st.booleans())
                    else content)
    try:
        grey = read_image(content, "it", LIMIT)
    except (BadRequest, TooLarge) as error:
        assert str(error).startswith("it: ") and "\n" not in str(error)
    else:
        page = MODEL.open_page(grey, "one")
        assert page.size == grey.shape[::-1] and page.arrays[0].shape[0] == MODEL.height
