import importlib.util

import numpy as np
import pytest
from PIL import Image

import ocr
from lm.base.errors import ConfigError, DataError, UnknownNameError
from ocr.image import PreprocessConfig, input_width, resized_width
from ocr.image.preprocess import clean_line
from ocr.layout import line_of_polygon
from ocr.layout.finders import ClassicalFinder
from ocr.recognition import PageReading, reading
from ocr.recognition import pages as pages_module
from ocr.recognition.lines import LineRecogniser
from ocr.recognition.pages import PageReader
from ocr.text.alphabet import Alphabet

from ..export.networks import write_checkpoint
from ..layout.pages import turn_points, turned

#: Blocks (left, top, right, bottom): each is a letter, wide ones are "b".
BLOCKS = [(60, 50, 72, 80), (84, 50, 108, 80), (180, 50, 192, 80), (204, 50, 216, 80),
          (60, 130, 84, 160), (96, 130, 108, 160)]


class Blocks(LineRecogniser):
    """Reads dark blocks: 4 columns a frame; narrow ones are a, wide ones b, gaps are spaces."""

    alphabet = Alphabet("ab ")
    preprocess = PreprocessConfig(height=40, margin=6)
    frame_pixels = 4.0

    def __init__(self, sure=8.0):
        self.sure, self.calls = sure, []

    def logits_of_images(self, images, batch_size=16):
        self.calls.append(len(images))
        return [self._logits(image) for image in images]

    def _logits(self, image):
        image = clean_line(image, self.preprocess)
        height, width = image.shape
        drawn = resized_width(height, width, self.preprocess)
        total = input_width(drawn, self.preprocess)
        logits = np.zeros((-(-total // 4), self.alphabet.num_classes), np.float32)
        logits[:, self.alphabet.blank] = self.sure
        dark = np.flatnonzero((image < 100).sum(axis=0) > 3)
        last = None
        for run in np.split(dark, np.flatnonzero(np.diff(dark) > 2) + 1) if len(dark) else []:
            if last is not None and run[0] - last > 40:
                self._mark(logits, (run[0] + last) / 2, " ", drawn / width)
            self._mark(logits, run.mean(), "a" if len(run) < 19 else "b", drawn / width)
            last = run[-1]
        return logits

    def _mark(self, logits, column, letter, scale):
        frame = int((column * scale + self.preprocess.margin) / 4)
        logits[frame] = 0
        logits[frame, self.alphabet.encode(letter)[0]] = self.sure


def page(blocks=BLOCKS, size=(400, 220)):
    image = np.full(size[::-1], 255, np.uint8)
    for left, top, right, bottom in blocks:
        image[top:bottom, left:right] = 0
    return image


def lines(size=(400, 220)):
    return [line_of_polygon([(40, top), (300, top), (300, top + 60), (40, top + 60)], None, i,
                            size) for i, top in enumerate((35, 115))]


def test_texts_words_and_where_they_are():
    found = PageReader(Blocks()).read(page(), lines())
    assert found.text == "ab aa\nba" and (found.width, found.height) == (400, 220)
    first, second = found.lines
    assert [word.text for word in first.words] == ["ab", "aa"]
    assert "".join(c.text for c in first.characters) == first.text
    letters = [c for line in found.lines for c in line.characters if c.text != " "]
    for letter, (left, _, right, _) in zip(letters, BLOCKS):
        # The cell holds the block's middle, and does not begin beyond its neighbour's.
        assert letter.box[0] < (left + right) / 2 < letter.box[2]
        assert abs((letter.box[0] + letter.box[2]) / 2 - (left + right) / 2) < 25
    for line in found.lines:
        edges = [c.box for c in line.characters]
        assert all(a[2] == b[0] for a, b in zip(edges, edges[1:]))
    assert first.words[1].box[0] == first.characters[3].box[0]
    assert second.characters[0].box[1] == 115 and second.characters[0].box[3] == 175


def test_positions_on_a_turned_page():
    size = (400, 220)
    skewed = turned(page(), 6)
    outlines = [(turn_points(line.polygon, 6, size), turn_points(line.baseline, 6, size))
                for line in lines()]
    found = PageReader(Blocks()).read(skewed, [line_of_polygon(*o, i, size)
                                               for i, o in enumerate(outlines)])
    assert found.text == "ab aa\nba"
    letters = [c for line in found.lines for c in line.characters if c.text != " "]
    for letter, (left, top, right, bottom) in zip(letters, BLOCKS):
        middle = turn_points([((left + right) / 2, (top + bottom) / 2)], 6, size)[0]
        assert np.abs(np.mean(letter.polygon, axis=0) - middle)[1] < 8
        assert np.abs(np.mean(letter.polygon, axis=0) - middle)[0] < 25


def test_lines_are_found_and_blank_pages_have_none():
    pytest.importorskip("skimage")
    reader = PageReader(Blocks(), lines="find")
    assert reader.read(page()).text.replace(" ", "") == "abaa\nba"
    assert reader.read(np.full((200, 300), 255, np.uint8)).lines == ()
    assert reader.recogniser.calls == [2]


def test_one_line_and_without_scikit_image(monkeypatch):
    strip = page()[35:95]
    assert [r.line.size for r in PageReader(Blocks(), lines="one").read(strip).lines] == [
        (400, 60)]
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: None if name == "skimage" else found(name))
    assert PageReader(Blocks()).read(strip).lines[0].line.size == (400, 60)
    with pytest.raises(ConfigError, match="classical needs packages .*: skimage"):
        PageReader(Blocks(), lines="find")


def test_light_and_dark_ink_read_alike():
    reader = PageReader(Blocks(), lines="one")
    strip = page()[35:95]
    assert reader.read(strip).text == reader.read(255 - strip).text == "ab aa"
    found = PageReader(Blocks()).read(255 - page(), lines())
    assert found.text == "ab aa\nba"


def test_garbage_is_flagged():
    sure, unsure = (PageReader(Blocks(s)).read(page(), lines()).lines[0] for s in (8.0, 1.0))
    assert sure.confidence > 0.9 and not sure.low_confidence
    assert unsure.confidence < 0.6 and unsure.low_confidence
    empty = PageReader(Blocks()).read(page([]), lines()).lines[0]
    assert empty.text == "" and empty.low_confidence and empty.characters == ()
    assert not PageReader(Blocks(1.0), low_confidence=0.1).read(
        page(), lines()).lines[0].low_confidence


def test_many_pages_share_batches_and_keep_their_order(monkeypatch):
    monkeypatch.setattr(pages_module, "_AT_ONCE", 4)
    recogniser = Blocks()
    pages = [(page(), lines()), (Image.fromarray(page([])), []), (page(), lines()[1:]),
             (page(), lines()), (page(), lines()[:1])]
    texts = [found.text for found in PageReader(recogniser).read_all(iter(pages))]
    assert texts == ["ab aa\nba", "", "ba", "ab aa\nba", "ab aa"]
    assert recogniser.calls == [5, 1]


def test_alternatives_and_correctors_without_positions():
    from ocr.decoding import Hypothesis

    class Pipeline:
        def decode(self, logits, n_best):
            return [[Hypothesis("a bb", 0.0, 0.5), Hypothesis("a bb", -0.5, 0.4),
                     Hypothesis("ab", -1.0, 0.3)][:n_best] for _ in logits]

    [line] = PageReader(Blocks(), Pipeline(), n_best=3).read(page(), lines()[:1]).lines
    # As likely as the search has it, and so never surer than the reading.
    [other] = line.alternatives
    assert other.text == "ab"
    assert other.confidence == pytest.approx(line.confidence * np.exp(-1))
    assert [word.text for word in line.words] == ["a", "bb"]
    assert line.characters[0].box[0] == 40 and line.characters[-1].box[2] == 300


def test_one_figure_a_line_is_the_mean_of_its_words_longer_ones_counting_more():
    from ocr.correction import PipelineConfig
    from ocr.decoding import Hypothesis, Span

    class Pipeline:
        config = PipelineConfig(calibration={"word_slope": 1.0})

        def decode(self, logits, n_best):
            words = (Span("a", 0, 3, 0.2), Span("bbb", 4, 9, 0.8))
            return [[Hypothesis("a bbb", -1.0, 0.01, words=words)] for _ in logits]

    [line] = PageReader(Blocks(), Pipeline()).read(page(), lines()[:1]).lines
    assert line.confidence == pytest.approx((0.2 + 3 * 0.8) / 4) and not line.low_confidence
    assert [word.confidence for word in line.words] == [0.2, 0.8]
    # Without a calibration the odds count half.
    Pipeline.config = PipelineConfig()
    [line] = PageReader(Blocks(), Pipeline()).read(page(), lines()[:1]).lines
    assert [word.confidence for word in line.words] == pytest.approx([1 / 3, 2 / 3])


def test_alternatives_are_sorted_and_none_is_surer_than_the_reading():
    from ocr.decoding import Hypothesis

    class Pipeline:
        def decode(self, logits, n_best):
            return [[Hypothesis("ab", -2.0, 0.4), Hypothesis("bb", -3.0, 0.1),
                     Hypothesis("aa", -1.0, 0.9), Hypothesis("bb", -4.0, 0.1)] for _ in logits]

    [line] = PageReader(Blocks(), Pipeline(), n_best=4).read(page(), lines()[:1]).lines
    assert [other.text for other in line.alternatives] == ["aa", "bb"]
    assert line.confidence >= line.alternatives[0].confidence > line.alternatives[1].confidence


class Upright(Blocks):
    """Is sure of its characters only where the ink's heavy end is down."""

    def _logits(self, image):
        rows = np.nonzero(image < 100)[0]
        middle = (rows.mean() - rows.min()) / max(np.ptp(rows), 1) if len(rows) else 0
        self.sure = 8.0 if 0.57 < middle < 0.7 else 0.5
        return super()._logits(image)


def ruled_page(rows=5):
    """Rows of "letters" with a thick foot, so that up and down differ."""
    image = np.full((620, 900), 255, np.uint8)
    for row in range(rows):
        top = 60 + 100 * row
        for left in range(60, 800, 30 if row % 2 else 36):
            image[top:top + 30, left + 4:left + 12] = 0
            image[top + 24:top + 34, left:left + 18] = 0
    return image


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_pages_on_their_side_or_head_are_read_and_told_as_they_lie(quarters):
    pytest.importorskip("skimage")
    image = ruled_page()
    # A page that lies as np.rot90 turns it.
    turned_page = np.ascontiguousarray(np.rot90(image, quarters))
    found = PageReader(Upright(), lines="find").read(turned_page)
    straight = PageReader(Upright(), lines="find").read(image)
    assert found.text == straight.text and len(found.lines) == 5
    assert (found.height, found.width) == turned_page.shape
    for line, other in zip(found.lines, straight.lines):
        assert line.line.angle % 360 == pytest.approx(-90 * quarters % 360)
        left, top, right, bottom = line.line.box
        # The ink of this very line lies in its box on the page as it came.
        ours = turned_page[top:bottom, left:right]
        a, b, c, d = other.line.box
        assert (ours < 128).sum() == pytest.approx((image[b:d, a:c] < 128).sum(), rel=0.02)
        assert not line.low_confidence
    as_it_lies = PageReader(Upright(), lines="find", turn=False).read(turned_page)
    assert (as_it_lies == found) == (quarters == 0)


def test_a_page_that_cannot_be_read_costs_the_others_nothing():
    class Choosy(Blocks):
        def logits_of_images(self, images, batch_size=16):
            if any(image.shape[0] > 60 for image in images):
                raise DataError("image 0: too high")
            return super().logits_of_images(images)

    high = line_of_polygon([(0, 0), (300, 0), (300, 200), (0, 200)], None, 0, (400, 220))
    pages = [(page(), lines()), (np.zeros((5, 5, 5), np.uint8), None), (page(), [high]),
             (page(), lines()[:1])]
    with pytest.raises(DataError):
        list(PageReader(Choosy()).read_all(pages))
    one, two, three, four = PageReader(Choosy()).read_all(pages, "return")
    assert one.text == "ab aa\nba" and four.text == "ab aa"
    assert isinstance(two, DataError) and "expected an image" in str(two)
    assert isinstance(three, DataError) and "too high" in str(three)


def test_a_line_cut_out_is_not_searched_for_lines(monkeypatch):
    def find(*_):
        raise AssertionError("looked for lines")

    monkeypatch.setattr(ClassicalFinder, "find", find)
    strip = page()[40:90]
    assert len(PageReader(Blocks()).read(strip).lines) == 1
    with pytest.raises(AssertionError):
        PageReader(Blocks()).read(page())
    with pytest.raises(AssertionError):
        PageReader(Blocks(), lines="find").read(strip)


@pytest.mark.parametrize("settings", [{"lines": "all"}, {"low_confidence": 2}])
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigError):
        PageReader(Blocks(), **settings)


def test_one_call(tmp_path):
    path = write_checkpoint(str(tmp_path / "m.ckpt"), "captcha")
    image = page()
    Image.fromarray(image).save(tmp_path / "page.png")
    once = ocr.recognise(tmp_path / "page.png", model=path, lines="one")
    assert [type(once), len(once.lines)] == [PageReading, 1]
    assert once == ocr.recognise(image, model=path, lines="one")
    assert once == ocr.recognise(Image.fromarray(image), path, "greedy", "one")
    opened = reading._open_reader.cache_info()
    ocr.recognise(image, model=path, lines="one")
    assert reading._open_reader.cache_info().misses == opened.misses
    with pytest.raises(UnknownNameError, match="nowhere.ckpt: neither a model file nor"):
        ocr.recognise(image, model="nowhere.ckpt")
    with pytest.raises(DataError, match="missing.png"):
        ocr.recognise("missing.png", model=path)
    assert not hasattr(ocr, "read_all")
