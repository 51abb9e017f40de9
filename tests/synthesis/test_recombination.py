"""Recombined lines, on writing whose letters are bars of different widths."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lm.base.errors import ConfigError, DataError, MissingDataError
from ocr.base.randomness import generator
from ocr.batching import PreparedLines
from ocr.data import SkipReport, open_dataset
from ocr.image import PreprocessConfig
from ocr.recognition.lines import LineRecogniser
from ocr.synthesis.recombination import LONGEST, Scrapbook, cut_lines, read_texts, write_recombined
from ocr.text.alphabet import Alphabet

CELL, HEIGHT, FRAME = 16, 32, 4
BARS = {"a": 2, "b": 5, "c": 8, "d": 11, " ": 0}
ALPHABET = Alphabet(list(BARS))
PREPROCESS = PreprocessConfig(height=HEIGHT, margin=8)


def draw(text):
    """Bars in cells: uint8, dark on white."""
    image = np.full((HEIGHT, CELL * len(text)), 255, np.uint8)
    for place, character in enumerate(text):
        left = place * CELL + (CELL - BARS[character]) // 2
        image[8:24, left:left + BARS[character]] = 30
    return image


def read(image):
    """Read bars; a cell without one is a space."""
    dark = np.append(False, (image[8:24] < 128).mean(0) > 0.5)
    starts = np.flatnonzero(dark[1:] & ~dark[:-1])
    ends = np.flatnonzero(dark[:-1] & ~dark[1:])
    ends = np.append(ends, dark.size - 1)[:len(starts)]
    text, last = "", None
    for start, end in zip(starts, ends):
        letter = min("abcd", key=lambda c: abs(BARS[c] - (end - start)))
        middle = (start + end) / 2
        if last is not None and middle - last > 1.6 * CELL:
            text += " "
        text, last = text + letter, middle
    return text


class Bars(LineRecogniser):
    """Finds every character in its cell's middle."""

    alphabet, preprocess, frame_pixels, stride = ALPHABET, PREPROCESS, FRAME, FRAME

    def __init__(self, texts, unsure=(), scales=None):
        self.texts, self.unsure = texts, unsure
        self.scales = scales or [1] * len(texts)

    def logits(self, prepared, batch_size=16, progress=True):
        found = []
        for index in range(len(prepared)):
            text = self.texts[index]
            logits = np.zeros((int(prepared.widths[index] + 16) // FRAME, len(BARS) + 1), "f")
            logits[:, ALPHABET.blank] = 8
            for place, label in enumerate(ALPHABET.encode(text)):
                middle = (place + 0.5) * CELL * self.scales[index] + PREPROCESS.margin
                frame = int(middle) // FRAME
                logits[frame, ALPHABET.blank] = 0
                logits[frame, label] = 0 if (index, place) in self.unsure else 16
                logits[frame, (label + 1) % len(BARS)] = 8 if (index, place) in self.unsure else 0
            found.append(logits)
        return found


def write_lines(folder, texts, writers):
    rows = ["file\twriter\ttext"]
    for index, (text, writer) in enumerate(zip(texts, writers)):
        Image.fromarray(draw(text)).save(folder / f"{index}.png")
        rows.append(f"{index}.png\t{writer}\t{text}")
    (folder / "t.tsv").write_text("\n".join(rows) + "\n")
    return open_dataset("table", path=str(folder / "t.tsv"))


TEXTS = ["ab cd dcba", "bd ac caab", "dd cc bb aa", "aabb"]


@pytest.fixture(scope="module")
def writers(tmp_path_factory):
    recogniser = Bars(TEXTS)
    dataset = write_lines(tmp_path_factory.mktemp("bars"), TEXTS, "1112")
    return cut_lines(recogniser, recogniser.prepare(dataset))


def test_lines_are_cut_between_their_letters(writers):
    assert {name: [line.text for line in lines] for name, lines in writers.items()} == {
        "1": TEXTS[:3], "2": TEXTS[3:]}
    for line in (*writers["1"], *writers["2"]):
        assert line.slant == 0 and line.usable.all()
        assert line.ink.max() == 200 and line.ink.min() == 0
        for place, character in enumerate(line.text):
            piece = line.ink[:, line.edges[place]:line.edges[place + 1]]
            assert (piece[12:20] > 100).any(0).sum() == BARS[character]


@given(st.lists(st.text("abcd", min_size=1, max_size=7), min_size=1, max_size=5),
       st.integers(0, 1000))
def test_any_text_of_a_writers_letters_is_put_together(writers, words, seed):
    text = " ".join(words)
    book = Scrapbook(writers["1"])
    assert book.covers(text)
    assert read(book.write(text, generator(seed))) == text
    pieces = book.pieces(text, generator(seed))
    assert "".join(book.lines[n].text[start:end] for n, start, end in pieces) == text
    assert max(end - start for _, start, end in pieces) <= LONGEST


@pytest.mark.parametrize("height", [20, 64])
def test_lines_of_another_height_are_cut_in_the_same_places(tmp_path, writers, height):
    recogniser, dataset = Bars(TEXTS), write_lines(tmp_path, TEXTS, "1112")
    drawn = PreparedLines(dataset, PreprocessConfig(height=height))
    scaled = cut_lines(recogniser, recogniser.prepare(dataset), drawn=drawn)
    for name, lines in writers.items():
        for line, other in zip(lines, scaled[name]):
            assert other.ink.shape[0] == height
            assert other.ink.shape[1] == pytest.approx(line.ink.shape[1] * height / HEIGHT, abs=1)
            assert np.abs(other.edges - line.edges * height / HEIGHT).max() <= 0.25 * CELL
            for place, character in enumerate(line.text):
                piece = other.ink[:, other.edges[place]:other.edges[place + 1]]
                wide = (piece[height // 2] > 100).sum() * HEIGHT / height
                assert wide == pytest.approx(BARS[character], abs=2)


def test_what_a_writer_has_not_written(writers):
    book = Scrapbook(writers["2"])
    assert book.covers("abba") and not book.covers("abc") and not book.covers("a b")
    with pytest.raises(DataError, match="no 'c'"):
        book.write("abc", generator(1))


def test_large_and_small_lines_of_a_writer_come_together(tmp_path):
    dataset = write_lines(tmp_path, ["abcd abcd", "dcba dcba"], "11")
    small = Image.fromarray(draw("dcba dcba"))
    page = Image.new("L", (small.width, 2 * HEIGHT), 255)
    page.paste(small, (0, HEIGHT))
    page.save(tmp_path / "1.png")
    recogniser = Bars(["abcd abcd", "dcba dcba"], scales=(1, 0.5))
    lines = cut_lines(recogniser, recogniser.prepare(dataset))["1"]
    assert lines[0].pitch > 1.8 * lines[1].pitch
    book = Scrapbook(lines)
    assert book.lines[0].pitch == pytest.approx(book.lines[1].pitch, rel=0.05)
    # The small line's ink lay low, the other's in the middle.
    rows = [np.flatnonzero((line.ink > 100).any(1)).mean() for line in book.lines]
    assert abs(rows[0] - rows[1]) < 1.5


def test_unsure_letters_are_left_out(tmp_path):
    dataset = write_lines(tmp_path, ["abc", "abd"], "11")
    recogniser = Bars(["abc", "abd"], unsure={(0, 2)})
    book = Scrapbook(cut_lines(recogniser, recogniser.prepare(dataset))["1"])
    assert book.characters == set("abd")


def test_lines_that_cannot_be_cut_are_reported(tmp_path):
    dataset = write_lines(tmp_path, ["abc", "abd"], "11")
    dataset.samples[0] = dataclasses.replace(dataset.samples[0], text="abe")
    dataset.samples[1] = dataclasses.replace(dataset.samples[1], text="ab" * 20)
    recogniser, report = Bars(["abc", "abd"]), SkipReport()
    assert cut_lines(recogniser, recogniser.prepare(dataset), report) == {}
    assert report.counts() == {"outside the alphabet": 1, "longer than its frames": 1}
    recogniser.preprocess = PreprocessConfig(height=HEIGHT, width=64)
    with pytest.raises(ConfigError, match="boxes of one width"):
        cut_lines(recogniser, recogniser.prepare(dataset))


def test_written_lines_follow_from_the_seed_and_are_kept(tmp_path, writers):
    texts = ["ab ba", "abab", "cab"]
    report = SkipReport()
    path = write_recombined(str(tmp_path / "one"), writers, texts, 12, seed=3, report=report)
    dataset = open_dataset("table", path=path)
    assert len(dataset) + len(report) == 12 and {s.writer for s in dataset.samples} == {"1", "2"}
    assert all(s.text == "abab" for s in dataset.samples if s.writer == "2")
    for index, sample in enumerate(dataset.samples):
        assert read(dataset.image(index)) == sample.text
    # Stopped half-way: the images that are there stay, the others are made as before.
    folder = tmp_path / "one"
    whole = {p: p.read_bytes() for p in sorted((folder / "lines").iterdir())}
    first, second, *_ = whole
    first.write_bytes(b"kept")
    second.unlink()
    table = (folder / "lines.tsv").read_bytes()
    (folder / "lines.tsv").unlink()
    write_recombined(str(folder), writers, texts, 12, seed=3)
    assert first.read_bytes() == b"kept" and (folder / "lines.tsv").read_bytes() == table
    assert {p: p.read_bytes() for p in whole if p != first} == {
        p: data for p, data in whole.items() if p != first}
    # More of the same is welcome, others are not.
    write_recombined(str(folder), writers, texts, 14, seed=3)
    assert (folder / "lines.tsv").read_bytes().startswith(table)
    for other in ({"seed": 4}, {"texts": ["abab"]}, {"writers": {"2": writers["2"]}}):
        with pytest.raises(DataError, match="name another folder"):
            write_recombined(**{"folder": str(folder), "writers": writers, "texts": texts,
                                "lines": 12, "seed": 3, **other})
    (tmp_path / "mine" / "lines").mkdir(parents=True)
    with pytest.raises(DataError, match="not made here"):
        write_recombined(str(tmp_path / "mine"), writers, texts, 12)


def test_writers_without_the_texts_characters_are_reported(tmp_path, writers):
    report = SkipReport()
    path = write_recombined(str(tmp_path), {"2": writers["2"]}, ["cd"], 3, report=report)
    assert report.counts() == {"characters that the writer has not": 3}
    assert open(path, encoding="utf-8").read() == "file\twriter\ttext\n"
    with pytest.raises(DataError, match="no line could be cut"):
        write_recombined(str(tmp_path), {}, ["cd"], 3)


def test_texts_are_lines(tmp_path):
    (tmp_path / "t.txt").write_text("  un  mot \n\n deux\u00a0mots\n", encoding="utf-8")
    assert read_texts(str(tmp_path / "t.txt")) == ["un mot", "deux mots"]
    (tmp_path / "e.txt").write_text("\n \n")
    with pytest.raises(DataError, match="holds no text"):
        read_texts(str(tmp_path / "e.txt"))
    with pytest.raises(MissingDataError):
        read_texts(str(tmp_path / "none.txt"))
