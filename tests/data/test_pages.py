import os
import subprocess
import sys
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from lm.base.errors import ConfigError, DataError, MissingDataError
from ocr.checkpoints.settings import DataConfig
from ocr.data import open_dataset
from ocr.image.cutting import covered
from ocr.text.alphabet import Alphabet
from ocr.training.sources import open_split

PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/{}"
ALTO = "http://www.loc.gov/standards/alto/ns-v{}#"
SIZE = (400, 300)
#: (left, top, right, bottom), text.
LINES = [((40, 30, 240, 62), "une ligne"), ((40, 90, 300, 122), "été & co"),
         ((44, 150, 200, 182), "la fin")]


def draw_page(path, lines=LINES, size=SIZE, seed=0):
    """A page on whose every pixel something is: paper with noise and the texts in their boxes."""
    rng = np.random.default_rng(seed)
    page = Image.fromarray(rng.integers(180, 256, size[::-1]).astype(np.uint8))
    for (left, top, _, _), text in lines:
        ImageDraw.Draw(page).text((left + 4, top + 4), text, fill=0,
                                  font=ImageFont.load_default(size=18))
    page.save(path)
    return np.asarray(page)


def corners(box):
    left, top, right, bottom = box
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def pairs(points, separator=","):
    return " ".join(f"{x}{separator}{y}" for x, y in points)


def page_line(number, outline, text, baseline=None):
    coords = f'<Coords points="{pairs(outline)}"/>' if outline else ""
    base = f'<Baseline points="{pairs(baseline)}"/>' if baseline else ""
    return (f'<TextLine id="l{number}" custom="readingOrder {{index:{number};}}">{coords}{base}'
            f"<TextEquiv><Unicode>{escape(text)}</Unicode></TextEquiv></TextLine>")


def write_page(path, lines, image="p.png", size=SIZE, version="2019-07-15", prolog="", prefix=""):
    size = f'imageWidth="{size[0]}" imageHeight="{size[1]}"' if size else ""
    xml = (f'<?xml version="1.0" encoding="UTF-8"?>{prolog}<PcGts xmlns="{PAGE.format(version)}">'
           "<Metadata><Creator>x</Creator></Metadata>"
           f"<Page imageFilename={quoteattr(image)} {size}>"
           f'<TextRegion id="r1"><Coords points="0,0 9,0 9,9"/>{"".join(lines)}</TextRegion>'
           "</Page></PcGts>")
    if prefix:
        xml = xml.replace("</", f"</{prefix}:").replace("<", f"<{prefix}:").replace(
            f"<{prefix}:/{prefix}:", f"</{prefix}:").replace(f"<{prefix}:?", "<?").replace(
            "xmlns=", f"xmlns:{prefix}=")
    path.write_text(xml, encoding="utf-8")


def alto_line(number, content, box=None, outline=None, baseline=""):
    sides = (f'HPOS="{box[0]}" VPOS="{box[1]}" WIDTH="{box[2] - box[0]}" '
             f'HEIGHT="{box[3] - box[1]}"' if box else "")
    shape = f'<Shape><Polygon POINTS="{pairs(outline, " ")}"/></Shape>' if outline else ""
    baseline = f'BASELINE="{baseline}"' if baseline else ""
    return f'<TextLine ID="l{number}" {sides} {baseline}>{shape}{content}</TextLine>'


def string(text):
    return f"<String CONTENT={quoteattr(text)}/>"


def write_alto(path, lines, image="p.png", size=SIZE, version=4, unit="pixel"):
    size = f'WIDTH="{size[0]}" HEIGHT="{size[1]}"' if size else ""
    image = f"<sourceImageInformation><fileName>{image}</fileName></sourceImageInformation>" \
        if image else ""
    unit = f"<MeasurementUnit>{unit}</MeasurementUnit>" if unit else ""
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><alto xmlns="{ALTO.format(version)}">'
        f'<Description>{unit}{image}</Description><Layout><Page {size} ID="P"><PrintSpace>'
        f'<TextBlock ID="b1">{"".join(lines)}</TextBlock></PrintSpace></Page></Layout></alto>',
        encoding="utf-8")


def page(tmp_path, **options):
    return open_dataset("page", path=str(tmp_path), **options)


def alto(tmp_path, **options):
    return open_dataset("alto", path=str(tmp_path), **options)


# -- whole pages ------------------------------------------------------------------------------

@pytest.mark.parametrize("version, prefix", [("2013-07-15", ""), ("2019-07-15", ""),
                                             ("2019-07-15", "pc")])
def test_page(tmp_path, version, prefix):
    pixels = draw_page(tmp_path / "p.png")
    write_page(tmp_path / "p.xml", [page_line(i, corners(box), text)
                                    for i, (box, text) in enumerate(LINES)], version=version,
               prefix=prefix)
    for crop in ("polygon", "box"):
        dataset = page(tmp_path, crop=crop)
        assert (dataset.name, dataset.split) == (f"page-line ({crop})", "all")
        assert dataset.texts() == ["une ligne", "été & co", "la fin"] and not len(dataset.report)
        for index, ((left, top, right, bottom), _) in enumerate(LINES):
            assert (dataset.image(index) == pixels[top:bottom, left:right]).all()
            assert dataset.image_size(index) == (bottom - top, right - left)
    sample = dataset.samples[1]
    assert (sample.id, sample.writer) == ("p/l1", None)
    assert sample.path == str(tmp_path / "p.png")
    assert sample.extra == {"page": "p", "region": "r1", "line": "l1", "box": (40, 90, 260, 32),
                            "custom": "readingOrder {index:1;}"}
    assert page(tmp_path, writer="page").samples[0].writer == "p"
    assert page(tmp_path, writer="folder").samples[0].writer == tmp_path.name


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("shape", ["box", "polygon"])
def test_alto(tmp_path, version, shape):
    pixels = draw_page(tmp_path / "p.png")
    write_alto(tmp_path / "p.xml", [
        alto_line(i, "<SP/>".join(map(string, text.split())), box if shape == "box" else None,
                  corners(box) if shape == "polygon" else None)
        for i, (box, text) in enumerate(LINES)], version=version)
    dataset = alto(tmp_path)
    assert dataset.name == "alto-line (polygon)"
    assert dataset.texts() == ["une ligne", "été & co", "la fin"] and not len(dataset.report)
    for index, ((left, top, right, bottom), _) in enumerate(LINES):
        assert (dataset.image(index) == pixels[top:bottom, left:right]).all()
    assert dataset.samples[0].extra["region"] == "b1"


@pytest.mark.parametrize("unit, factor", [("mm10", 0.635), ("inch1200", 4.0), ("pixel", 0.5)])
def test_units_are_scaled_by_the_size_of_the_page(tmp_path, unit, factor):
    pixels = draw_page(tmp_path / "p.png")
    write_alto(tmp_path / "p.xml", [
        alto_line(i, string(text), tuple(round(v * factor, 4) for v in box))
        for i, (box, text) in enumerate(LINES)], unit=unit, size=[v * factor for v in SIZE])
    dataset = alto(tmp_path)
    for index, ((left, top, right, bottom), _) in enumerate(LINES):
        assert dataset.samples[index].extra["box"] == (left, top, right - left, bottom - top)
        assert (dataset.image(index) == pixels[top:bottom, left:right]).all()


def test_texts_of_page(tmp_path):
    draw_page(tmp_path / "p.png")

    def line(number, content):
        return (f'<TextLine id="l{number}"><Coords points="{pairs(corners(LINES[0][0]))}"/>'
                f"{content}</TextLine>")

    def reading(text, index=""):
        return f"<TextEquiv {index}><PlainText>x</PlainText><Unicode>{text}</Unicode></TextEquiv>"
    write_page(tmp_path / "p.xml", [
        line(0, reading("second", 'index="2"') + reading("first", 'index="1"')),
        line(1, reading("plain") + reading("later", 'index="1"')),
        line(2, "<Word id='w'>" + reading("two") + "</Word><Word id='v'>" + reading("words")
             + "</Word>"),
        line(3, reading("  cafe\u0301 \n au\tlait ")),
        line(4, reading("x", 'index="a"')), line(5, reading(" ")), line(6, "")])
    dataset = page(tmp_path)
    assert dataset.texts() == ["first", "plain", "two words", "café   au lait"]
    assert [(s.id, s.reason) for s in dataset.report.skips] == [
        ("p/l4", "malformed index"), ("p/l5", "empty transcript"), ("p/l6", "empty transcript")]


def test_texts_of_alto(tmp_path):
    draw_page(tmp_path / "p.png")
    contents = [string("a b"), string("a") + "<SP/>" + string("b") + string("c"),
                string("a") + string("b"), string("demi") + '<HYP CONTENT="-"/>',
                string("un") + "<SP/>" + string("mot") + '<HYP CONTENT="\u00ad"/>',
                string("fin") + "<HYP/>", "<SP/>"]
    write_alto(tmp_path / "p.xml", [alto_line(i, content, LINES[0][0])
                                    for i, content in enumerate(contents)])
    dataset = alto(tmp_path)
    assert dataset.texts() == ["a b", "a bc", "a b", "demi-", "un mot-", "fin-"]
    assert dataset.report.counts() == {"empty transcript": 1}


def test_points_as_elements_and_words_between_them(tmp_path):
    """PAGE 2010 has elements for points; ALTO writers separate coordinates as they like."""
    draw_page(tmp_path / "p.png")
    box = LINES[0][0]
    points = "".join(f'<Point x="{x}" y="{y}"/>' for x, y in corners(box))
    write_page(tmp_path / "p.xml", [
        f'<TextLine id="a"><Coords>{points}</Coords><TextEquiv><Unicode>x</Unicode></TextEquiv>'
        "</TextLine>"], version="2010-03-19")
    assert page(tmp_path).samples[0].extra["box"] == (40, 30, 200, 32)
    for separator in (",", " ", ", "):
        write_alto(tmp_path / "p.xml", [alto_line(0, string("x")).replace(
            "<String", f'<Shape><Polygon POINTS="{pairs(corners(box), separator)}"/></Shape>'
            "<String")])
        assert alto(tmp_path).samples[0].extra["box"] == (40, 30, 200, 32)


# -- outlines ---------------------------------------------------------------------------------

def test_pixels_outside_the_polygon_are_painted_over(tmp_path):
    pixels = draw_page(tmp_path / "p.png")
    # A step: the right half reaches ten pixels less high.
    outline = [(40, 30), (140, 30), (140, 40), (240, 40), (240, 62), (40, 62)]
    write_page(tmp_path / "p.xml", [page_line(0, outline, "x")])
    crop = pixels[30:62, 40:240]
    masked = page(tmp_path).image(0)
    # As bright as the line's own paper is there.
    assert np.abs(masked[:10, 100:].astype(int) - np.median(crop[10:, 100:])).max() < 12
    assert (masked[10:] == crop[10:]).all() and (masked[:, :100] == crop[:, :100]).all()
    assert (page(tmp_path, crop="box").image(0) == crop).all()
    assert page(tmp_path).image_key(0) != page(tmp_path, crop="box").image_key(0)


@given(st.lists(st.tuples(st.integers(-5, 25), st.integers(-5, 15)), min_size=3, max_size=3,
                unique=True))
def test_a_triangle_covers_the_pixels_whose_centres_it_holds(points):
    mask = covered(points, 20, 10)
    (ax, ay), (bx, by), (cx, cy) = points
    y, x = np.mgrid[:10, :20] + 0.5
    sides = [(bx - ax) * (y - ay) - (by - ay) * (x - ax),
             (cx - bx) * (y - by) - (cy - by) * (x - bx),
             (ax - cx) * (y - cy) - (ay - cy) * (x - cx)]
    inside = np.all([s > 0 for s in sides], axis=0) | np.all([s < 0 for s in sides], axis=0)
    edge = np.any([s == 0 for s in sides], axis=0)
    assert (mask == inside)[~edge].all()


def test_an_outline_that_crosses_itself_has_no_holes():
    square = [(0, 0), (10, 0), (10, 10), (0, 10)]
    twice = square + [(0, 0), (8, 0), (8, 8), (0, 8)]
    assert covered(twice, 10, 10).all()


def test_outlines_beyond_the_page_are_clipped(tmp_path):
    pixels = draw_page(tmp_path / "p.png")
    write_page(tmp_path / "p.xml", [
        page_line(0, corners((-20, -5, 100, 30)), "x"),
        page_line(1, corners((350, 280, 500, 310)), "y"),
        page_line(2, corners((400, 10, 420, 30)), "gone"),
        page_line(3, [(5, 5), (60, 5), (80, 5)], "flat")])
    dataset = page(tmp_path)
    assert (dataset.image(0) == pixels[:30, :100]).all()
    assert (dataset.image(1) == pixels[280:, 350:]).all()
    assert [sample.extra.get("clipped") for sample in dataset.samples] == [True, True]
    assert [(s.id, s.reason) for s in dataset.report.skips] == [
        ("p/l2", "outside the page"), ("p/l3", "empty outline")]
    assert "p.xml, line 1: l2: (400, 10) to (420, 30) on a page of 400 x 300" \
        in dataset.report.skips[0].detail


def test_a_band_along_the_baseline(tmp_path):
    pixels = draw_page(tmp_path / "p.png")
    lines = [page_line(i, None, "x", [(40, y), (140, y + 10), (240, y)])
             for i, y in enumerate((60, 100, 140))]
    # A column beside it must not halve the distance.
    lines.append(page_line(9, None, "beside", [(250, 80), (390, 80)]))
    write_page(tmp_path / "p.xml", lines)
    for crop in ("polygon", "baseline"):
        dataset = page(tmp_path, crop=crop, ascent=0.5, descent=0.25)
        image = dataset.image(1)
        assert dataset.samples[1].extra["box"] == (40, 80, 200, 40)
        # Lower in the middle: there the band holds other rows than at its ends.
        assert (image[10:30, 60:140] == pixels[90:110, 100:180]).all()
        assert (image[:28, 0] == pixels[80:108, 40]).all()
        assert (image[10:, 100] == pixels[90:120, 140]).all()
        assert image[:9, 100].std() == 0 == image[32:, 0].std()
    write_page(tmp_path / "p.xml", [page_line(0, corners(LINES[0][0]), "a", [(40, 60), (90, 60)]),
                                    page_line(1, corners(LINES[1][0]), "b")])
    assert len(page(tmp_path)) == 2
    dataset = page(tmp_path, crop="baseline")
    assert dataset.report.counts() == {"no line distance": 1, "no outline": 1}
    write_page(tmp_path / "p.xml", [page_line(0, None, "a")])
    assert "no polygon, no box, no baseline" in page(tmp_path).report.skips[0].detail


@pytest.mark.parametrize("version, form", [(2, "{y}"), (4, "40 {y} 240 {y}"),
                                           (4, "40,{y} 240,{y}")])
def test_baselines_of_alto(tmp_path, version, form):
    draw_page(tmp_path / "p.png")
    write_alto(tmp_path / "p.xml", [
        alto_line(i, string("x"), (40, y - 9, 240, y), baseline=form.format(y=y))
        for i, y in enumerate((60, 100))], version=version)
    dataset = alto(tmp_path, crop="baseline", ascent=1, descent=0.5)
    assert [s.extra["box"] for s in dataset.samples] == [(40, 20, 200, 60), (40, 60, 200, 60)]


# -- images -----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["p.png", "/elsewhere/scans/p.png", "C:\\scans\\p.png",
                                  "file:///elsewhere/p.png", "../p.png"])
def test_images_are_found_by_name(tmp_path, name):
    draw_page(tmp_path / "p.png")
    folder = tmp_path / "page"
    folder.mkdir()
    write_page(folder / "other.xml", [page_line(0, corners(LINES[0][0]), "x")], image=name)
    assert os.path.samefile(page(folder).samples[0].path, tmp_path / "p.png")
    (tmp_path / "scans").mkdir()
    draw_page(tmp_path / "scans" / "p.png")
    dataset = page(folder, images=str(tmp_path / "scans"))
    assert os.path.samefile(dataset.samples[0].path, tmp_path / ("p.png" if name == "../p.png"
                                                         else "scans/p.png"))


def test_an_unnamed_image_is_that_of_the_xml_files_name(tmp_path):
    draw_page(tmp_path / "p.png")
    write_alto(tmp_path / "p.xml", [alto_line(0, string("x"), LINES[0][0])], image=None, unit=None)
    assert alto(tmp_path).samples[0].path == str(tmp_path / "p.png")
    os.unlink(tmp_path / "p.png")
    assert "nor is one named like the XML file" in alto(tmp_path).report.skips[0].detail


def test_a_page_changed_after_opening(tmp_path):
    draw_page(tmp_path / "p.png")
    write_page(tmp_path / "p.xml", [page_line(0, corners(LINES[1][0]), "x")])
    dataset = page(tmp_path)
    key = dataset.image_key(0)
    draw_page(tmp_path / "p.png", size=(80, 60))
    assert dataset.image_key(0) != key
    with pytest.raises(DataError, match="p.png: the page has another size"):
        dataset.image(0)
    (tmp_path / "p.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="p.png: not a readable image"):
        dataset.image(0)
    os.unlink(tmp_path / "p.png")
    with pytest.raises(DataError, match="p.png: no such image"):
        dataset.image(0)


# -- bad input --------------------------------------------------------------------------------

GOOD = page_line(0, corners(LINES[0][0]), "x")
BOMB = '<!DOCTYPE PcGts [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
FILE = '<!DOCTYPE PcGts [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("write, reason, detail", [
    (lambda p: p.write_text("<PcGts><Page>"), "malformed XML", "p.xml, line 1: malformed XML"),
    (lambda p: p.write_text(""), "malformed XML", "no element found"),
    (lambda p: p.write_bytes(b"<PcGts>\xff</PcGts>"), "malformed XML", "line 1: malformed XML"),
    (lambda p: write_page(p, [GOOD], prolog=BOMB), "malformed XML", "declares an entity; refused"),
    (lambda p: write_page(p, [GOOD], prolog=FILE), "malformed XML", "declares an entity; refused"),
    (lambda p: write_page(p, [GOOD], prolog='<!DOCTYPE PcGts SYSTEM "http://x.invalid/p.dtd">'),
     "malformed XML", "refers to a DTD elsewhere; refused"),
    (lambda p: write_page(p, [GOOD, "<TextLine>&a;</TextLine>"]), "malformed XML",
     "undefined entity"),
    (lambda p: p.write_text("<html/>"), "another format", "its root is <html>, not <PcGts>"),
    (lambda p: p.write_text("<PcGts/>"), "no page", "holds no <Page>"),
    (lambda p: write_page(p, [GOOD], image="q.png"), "missing image", "its image 'q.png' is not"),
    (lambda p: write_page(p, [GOOD], image="bad.png"), "unreadable image", "bad.png: not a read"),
    (lambda p: write_page(p, [GOOD], size=(300, 400)), "another size", "image .* 400 x 300"),
    (lambda p: write_page(p, [GOOD], size=(0, 400)), "no page size", "the page is 0 x 400"),
    (lambda p: write_page(p, [GOOD], size=("a", 400)), "malformed coordinates",
     "imageWidth is 'a'"),
    (lambda p: write_page(p, [GOOD, GOOD]), "repeated id", "p.xml, line 1: l0: stands twice"),
    (lambda p: write_page(p, [GOOD.replace("40,30", "40,x")]), "malformed coordinates",
     "p.xml, line 1: l0: Coords is '40,x"),
    (lambda p: write_page(p, [GOOD.replace("40,30", "40,1e999")]), "malformed coordinates",
     "l0: Coords"),
    (lambda p: write_page(p, [GOOD.replace("40,30", "40")]), "malformed coordinates",
     "l0: Coords is '40 240 "),
    (lambda p: write_page(p, [GOOD.replace("40,30", "40,1e308")]), "malformed coordinates",
     "l0: Coords is"),
    (lambda p: write_page(p, [GOOD], size=("1e-300", "1e-300")), "no page size", "1e-300 x 1e-300"),
    (lambda p: write_page(p, ["<Word>" * 5000 + "</Word>" * 5000]), "malformed XML",
     "<Word> lies more than 100 elements deep"),
    (lambda p: os.mkfifo(p), "malformed XML", "p.xml: is a pipe or a device")])
def test_bad_pages(tmp_path, write, reason, detail):
    draw_page(tmp_path / "p.png")
    (tmp_path / "bad.png").write_text("no image")
    draw_page(tmp_path / "good.png")
    write_page(tmp_path / "good.xml", [GOOD], image="good.png")
    write(tmp_path / "p.xml")
    dataset = page(tmp_path)
    assert dataset.report.counts() == {reason: 1}
    with pytest.raises(DataError, match=f"{reason}: .*{detail}"):
        page(tmp_path, on_error="raise")
    # The good lines are there all the same.
    assert "good/l0" in [sample.id for sample in dataset.samples]


@pytest.mark.parametrize("options, reason, detail", [
    ({"unit": "mm"}, "unknown unit", "MeasurementUnit is 'mm'; known: pixel, mm10, inch1200"),
    ({"unit": "mm10", "size": None}, "no page size", "in mm10 need the WIDTH and HEIGHT")])
def test_bad_units(tmp_path, options, reason, detail):
    draw_page(tmp_path / "p.png")
    write_alto(tmp_path / "p.xml", [alto_line(0, string("x"), LINES[0][0])], **options)
    assert alto(tmp_path).report.counts() == {reason: 1}
    with pytest.raises(DataError, match=f"p.xml: .*{detail}"):
        alto(tmp_path, on_error="raise")


def test_several_pages_in_one_file(tmp_path):
    draw_page(tmp_path / "p.png")
    write_alto(tmp_path / "p.xml", [])
    text = (tmp_path / "p.xml").read_text()
    (tmp_path / "p.xml").write_text(text.replace("</Page>", "</Page><Page/>"))
    assert alto(tmp_path).report.counts() == {"several pages": 1}


def test_odd_coordinates_of_alto(tmp_path):
    draw_page(tmp_path / "p.png")
    write_alto(tmp_path / "p.xml", [alto_line(0, string("x"), outline=[(1, 2), (3, 4), (5, "")]),
                                    alto_line(1, string("x"), baseline="1 2 3")])
    report = alto(tmp_path).report
    assert report.counts() == {"malformed coordinates": 2}
    assert "l0: POINTS has a coordinate over" in report.skips[0].detail


def test_other_characters(tmp_path):
    draw_page(tmp_path / "p.png")
    write_page(tmp_path / "p.xml", [page_line(0, corners(LINES[0][0]), "ab"),
                                    page_line(1, corners(LINES[1][0]), "é")])
    dataset = page(tmp_path, alphabet=Alphabet("ab"))
    assert dataset.texts() == ["ab"] and "'é' (U+00E9)" in dataset.report.skips[0].detail


def test_bad_folders_and_options(tmp_path):
    with pytest.raises(MissingDataError, match="holds no XML files"):
        page(tmp_path)
    with pytest.raises(MissingDataError, match="no such XML file or folder"):
        page(tmp_path / "none")
    (tmp_path / "mets.xml").write_text("<mets/>")
    with pytest.raises(DataError, match="no page could be read; nothing skipped"):
        page(tmp_path)
    for options, message in (({"crop": "x"}, "unknown page.crop 'x'; known: polygon"),
                             ({"split": "x"}, "unknown page.split 'x'"),
                             ({"writer": "x"}, "unknown page.writer"),
                             ({"ascent": -1}, "page.ascent must be at least 0"),
                             ({"ascent": 0, "descent": 0}, "are both 0")):
        with pytest.raises(ConfigError, match=message):
            page(tmp_path, **options)
    with pytest.raises(ConfigError, match="list of XML files is empty"):
        open_dataset("alto", path=[])


# -- splits -----------------------------------------------------------------------------------

@pytest.fixture
def pages(tmp_path):
    """A folder of ten pages of two lines, among them a METS file."""
    for number in range(10):
        draw_page(tmp_path / f"{number}.png", size=(80, 60), seed=number)
        write_page(tmp_path / f"p{number}.xml", [
            page_line(i, corners((1, 2, 30, 20)), f"{number}") for i in range(2)],
            image=f"{number}.png", size=None)
    (tmp_path / "METS.xml").write_text('<m:mets xmlns:m="http://www.loc.gov/METS/"/>')
    return tmp_path


def test_shares_are_of_whole_pages(pages):
    def texts(split, **options):
        return page(pages, split=split, validation=2, test=0.3, **options).texts()

    parts = [texts(split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [10, 4, 6]
    assert sorted(sum(parts, [])) == sorted(texts("all"))
    assert all(not set(a) & set(b) for a in parts for b in parts if a is not b)
    assert parts[0] == texts("train") != texts("train", seed=2)
    dataset = page(pages, split="test", test=0.3)
    assert dataset.split == "test (validation 0.1, test 0.3 of pages, seed 1)"
    with pytest.raises(DataError, match="no page for the split 'test'"):
        page(pages, split="test")
    # The splits of an experiment, without being asked for.
    data = DataConfig("page", {"path": str(pages), "test": 1})
    assert [len(open_split(data, split)) for split in ("train", "validation", "test")] == [16, 2, 2]


def test_listed_pages(pages):
    (pages / "valid.txt").write_text("# pages\np3.xml\n4.png\n\nnone.xml\n")
    options = {"train": ["p0", "1", "p2.xml"], "validation": str(pages / "valid.txt")}
    assert sorted(set(page(pages, split="train", **options).texts())) == ["0", "1", "2"]
    valid = page(pages, split="validation", **options)
    assert valid.texts() == ["3", "3", "4", "4"] and valid.split == "validation"
    assert valid.report.skips[0].id == "none.xml"
    assert valid.report.counts() == {"unknown page": 1}
    with pytest.raises(ConfigError, match="listed for train, validation; test needs a list"):
        page(pages, split="test", **options)
    options["validation"] = ["0.png"]
    with pytest.raises(DataError, match="the page '0.png' stands in train and in validation"):
        page(pages, split="train", **options)
    with pytest.raises(MissingDataError, match="none.txt: no such list of pages"):
        page(pages, split="train", train=str(pages / "none.txt"))
    with pytest.raises(ConfigError, match="page.train: expected str or list of str, not 0.5"):
        page(pages, split="train", train=0.5)


def test_one_image_is_one_page(pages):
    write_page(pages / "q0.xml", [GOOD], image="0.png", size=None)
    dataset = page(pages)
    assert len(dataset) == 20 and dataset.report.counts() == {"repeated page": 1}
    assert "q0.xml: its image" in dataset.report.skips[0].detail


def test_lists_of_files_and_folders(pages):
    other = pages / "other"
    other.mkdir()
    draw_page(other / "0.png", size=(80, 60))
    write_page(other / "p0.xml", [page_line(0, corners((1, 2, 30, 20)), "x")], image="0.png",
               size=None)
    dataset = open_dataset("page", path=[str(other), str(pages / "p0.xml"), str(pages / "p0.xml")],
                           writer="folder")
    assert [(s.id, s.text, s.writer) for s in dataset.samples] == [
        ("other/p0/l0", "x", "other"), ("p0/l0", "0", pages.name), ("p0/l1", "0", pages.name)]
    with pytest.raises(DataError, match="'0.png' of train could be .* or "):
        open_dataset("page", path=[str(other), str(pages)], split="train", train=["0.png"])


def test_python_without_docstrings_can_import_it():
    subprocess.run([sys.executable, "-OO", "-c", "import ocr.data.pages"], check=True)
