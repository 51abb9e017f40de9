import html
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.base.errors import ConfigError, DataError, MissingDataError
from ocr.base.randomness import generator
from ocr.data import open_dataset
from ocr.data.iam_items import unescape
from ocr.synthesis.fonts import system_fonts
from ocr.synthesis.glyphs import undrawable
from ocr.synthesis.iam_tree import escape
from ocr.synthesis.phrases import make_words, wrap_words
from ocr.synthesis.strokes import make_style, render_line
from ocr.synthesis.synthetic import write_iam_tree
from ocr.text.alphabet import Alphabet

CHECK = """
import zlib
from ocr.data import open_dataset
d = open_dataset("synthetic", split="test", lines=9, writers=8, seed=4)
print(zlib.crc32(d.image(7).tobytes()), d.samples[7].text)
"""


def crc(image):
    return zlib.crc32(image.tobytes())


def find_font():
    """A TrueType font that comes with a package of the test environment."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


# -- single lines -----------------------------------------------------------------------------

def test_the_same_in_another_process_and_order():
    dataset = open_dataset("synthetic", split="test", lines=9, writers=8, seed=4)
    there = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True,
                           check=True).stdout.strip()
    for index in (3, 7, 0):
        dataset.image(index)
    assert f"{crc(dataset.image(7))} {dataset.samples[7].text}" == there
    longer = open_dataset("synthetic", split="test", lines=12, writers=8, seed=4)
    assert longer.samples[7] == dataset.samples[7] and crc(longer.image(7)) == crc(dataset.image(7))
    part = pickle.loads(pickle.dumps(dataset)).subset([7, 2])
    assert np.array_equal(part.image(0), dataset.image(7))
    assert part.image_key(0) == dataset.image_key(7)


def test_seeds_lines_and_splits_differ():
    sets = [open_dataset("synthetic", lines=5, **options)
            for options in ({"seed": 1}, {"seed": 2}, {"split": "test"}, {"height": 40})]
    assert sets[0].texts() == sets[3].texts()
    assert sets[0].texts() != sets[1].texts() and sets[0].texts() != sets[2].texts()
    assert len({d.image_key(i) for d in sets for i in range(5)}) == 20
    assert len({crc(d.image(i)) for d in sets for i in range(5)}) == 20


def test_splits_share_no_writer():
    splits = [open_dataset("synthetic", split=s, lines=80, writers=12)
              for s in ("train", "validation1", "validation2", "test")]
    writers = [{sample.writer for sample in d.samples} for d in splits]
    assert all(len(names) == 12 for names in writers)
    assert len(set().union(*writers)) == 48
    # Not only in name.
    styles = {make_style((1, 0, *s.extra["writer_key"])) for d in splits for s in d.samples}
    assert len(styles) == 48


def test_lines_fit_the_iam_alphabet_and_are_of_moderate_size():
    dataset = open_dataset("synthetic", lines=60, alphabet=Alphabet.preset("iam"),
                           on_error="raise")
    assert all(15 <= len(text) <= 60 for text in dataset.texts())
    for index in range(0, 60, 6):
        image = dataset.image(index)
        assert image.dtype == np.uint8
        assert 40 <= image.shape[0] <= 120 and image.shape[1] > 4 * len(dataset.samples[index].text)
        assert np.median(image) > 200 and image.min() < 150
    few = open_dataset("synthetic", lines=60, alphabet=Alphabet("abcdefghijklmnopqrstuvwxyz ."))
    assert len(few) + len(few.report) == 60
    assert set(few.report.counts()) == {"outside the alphabet"}


def test_word_boxes_hold_the_ink():
    for writer in range(8):
        style = make_style((1, writer))
        drawn = render_line("Three  little words, jumping", style, generator(2, writer))
        height, width = drawn.image.shape
        assert len(drawn.boxes) == 4
        lefts = [box[0] for box in drawn.boxes]
        assert lefts == sorted(lefts)
        outside = drawn.image.astype(int)
        for x, y, w, h in drawn.boxes:
            assert 0 <= x < x + w <= width and 0 <= y < y + h <= height
            assert drawn.image[y:y + h, x:x + w].min() < style.paper - 60
            outside[y:y + h, x:x + w] = 255
        assert outside.min() > style.paper - 60


def test_accents_are_composed_and_the_rest_is_named():
    assert undrawable("Été à Noël, garçon ! « non » œuvre — “l’hôtel” …") == []
    assert undrawable("π中ß") == ["ß", "π", "中"]
    style = make_style((1, 0))
    plain, accented = (render_line(text, style, generator(1)).image for text in ("e", "é"))
    assert accented.shape[0] > plain.shape[0]
    with pytest.raises(DataError, match=r"'π' \(U\+03C0\)"):
        render_line("2π", style, generator(1))
    with pytest.raises(DataError, match="nothing to draw"):
        render_line("  ", style, generator(1))


def test_own_text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"the line n{i} of my own text\n" for i in range(60)) + "2π\n",
                    encoding="utf-8")
    splits = [open_dataset("synthetic", split=s, lines=70, text_file=str(path))
              for s in ("train", "validation1", "validation2", "test")]
    assert all(len(d) == 70 and d.report.counts() == {"cannot be drawn": 1} for d in splits)
    numbers = [{w for text in d.texts() for w in text.split() if w[1:].isdigit()}
               for d in splits]
    assert all(numbers) and sum(map(len, numbers)) == len(set().union(*numbers))
    assert len(numbers[0]) > 2 * len(numbers[3])
    with pytest.raises(DataError, match="cannot be drawn"):
        open_dataset("synthetic", text_file=str(path), on_error="raise")


def test_unusable_text(tmp_path):
    with pytest.raises(MissingDataError, match="none.txt: cannot be read"):
        open_dataset("synthetic", text_file=str(tmp_path / "none.txt"))
    for content, message in [(b"", "holds no text"), (b"one line only", "too few"),
                             (b"fine\n\xff", "line 2: not UTF-8")]:
        (tmp_path / "t.txt").write_bytes(content)
        with pytest.raises(DataError, match=message):
            open_dataset("synthetic", text_file=str(tmp_path / "t.txt"), split="validation1")


def test_truetype_fonts(tmp_path):
    font = find_font()
    dataset = open_dataset("synthetic", lines=16, writers=16, fonts=[font])
    with_font = [i for i, sample in enumerate(dataset.samples)
                 if make_style((1, 0, *sample.extra["writer_key"]), (font,)).font_file]
    assert 0 < len(with_font) < 16
    strokes = open_dataset("synthetic", lines=16, writers=16, fonts="hershey")
    for index in range(16):
        same = np.array_equal(dataset.image(index), strokes.image(index))
        assert same == (index not in with_font)
        assert (dataset.image_key(index) == strokes.image_key(index)) == same
    style = make_style((1, 0, *dataset.samples[with_font[0]].extra["writer_key"]), (font,))
    drawn = render_line("Two words", style, generator(3))
    assert len(drawn.boxes) == 2
    for x, y, w, h in drawn.boxes:
        assert drawn.image[y:y + h, x:x + w].min() < style.paper - 60
    # What the font lacks is written with strokes or named.
    with pytest.raises(DataError, match="中"):
        render_line("中", style, generator(3))
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    with pytest.raises(DataError, match="broken.ttf: not a readable font"):
        open_dataset("synthetic", lines=16, writers=16, fonts=[str(broken)]).image(with_font[0])
    with pytest.raises(MissingDataError, match="no such font"):
        open_dataset("synthetic", fonts=["none.ttf"])


def test_system_fonts_are_found_by_name(tmp_path):
    (tmp_path / "x").mkdir()
    for name in ("Kristi.ttf", "DancingScript-Regular.otf", "DejaVuSans.ttf", "kristi.txt"):
        (tmp_path / "x" / name).touch()
    found = system_fonts([str(tmp_path), str(tmp_path / "none")])
    assert [Path(path).name for path in found] == ["DancingScript-Regular.otf", "Kristi.ttf"]


@pytest.mark.parametrize("options", [
    {"split": "dev"}, {"lines": 0}, {"writers": 0}, {"seed": -1}, {"height": 8},
    {"lines": True}, {"fonts": "arial"}])
def test_bad_options(options):
    with pytest.raises(ConfigError, match="known: |must be at least|expected int"):
        open_dataset("synthetic", **options)


# -- text -------------------------------------------------------------------------------------

def test_made_up_text_is_skewed_and_never_exhausted():
    words = make_words(generator(1), 8000)
    counts = sorted((words.count(word) for word in set(words)), reverse=True)
    assert counts[0] > 50 * np.median(counts) and len(counts) > 800
    unseen = np.mean([word not in set(words) for word in make_words(generator(2), 2000)])
    assert 0.005 < unseen < 0.25


@given(st.lists(st.text("abc.", min_size=1, max_size=30), max_size=40), st.integers(0, 99))
def test_wrapping_loses_no_word(words, seed):
    lines = wrap_words(words, generator(seed))
    assert " ".join(lines).split() == words
    assert all(len(line) <= 55 and 1 <= len(line.split()) <= 9 for line in lines)


@given(st.text("ab&<>\"'#; é"))
def test_escape_is_undone(text):
    once, twice = html.unescape(escape(text)), html.unescape(html.unescape(escape(text)))
    assert twice == text
    assert not any(c in escape(text) for c in '<>"') and (once == text or "&" in once)
    if unescape(text) == text:
        assert unescape(escape(text)) == text


# -- a tree in IAM's format -------------------------------------------------------------------

@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "iam"
    written = write_iam_tree(folder, forms=14, lines_per_form=3, writers=8, seed=3,
                             err_share=.3, progress=False)
    return folder, written


def open_tree(tree, **options):
    return open_dataset("iam", **{"root": str(tree[0]), "split": "all", "on_error": "raise",
                                  "check_images": True, **options})


def test_tree_is_read_back_the_same_in_every_mode(tree):
    sets = {}
    for mode in ("line", "word", "form"):
        sets[mode], from_ascii = (open_tree(tree, mode=mode, annotations=a)
                                  for a in ("xml", "ascii"))
        for one, other in zip(sets[mode].samples, from_ascii.samples):
            assert (one.id, one.text, one.writer) == (other.id, other.text, other.writer)
            assert one.extra["segmentation"] == other.extra["segmentation"] or mode == "form"
        assert len(sets[mode]) == len(from_ascii)
    written = tree[1]
    assert (written.forms, written.lines, written.words) == (14, 42, len(sets["word"]))
    joined, pages = {}, {}
    for word in sets["word"].samples:
        joined.setdefault(word.extra["line"], []).append(word.text)
    assert {k: " ".join(v) for k, v in joined.items()} == {
        s.id: s.text for s in sets["line"].samples}
    for line in sets["line"].samples:
        pages.setdefault(line.extra["form"], []).append(line.text)
    assert {k: "\n".join(v) for k, v in pages.items()} == {
        s.id: s.text for s in sets["form"].samples}


def test_tree_holds_the_traps_of_iam(tree):
    xml = "".join(path.read_text(encoding="utf-8") for path in (tree[0] / "xml").iterdir())
    assert "&amp;quot;" in xml
    lines = (tree[0] / "ascii" / "lines.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#")
    ok, err = (open_tree(tree, segmentation=flag) for flag in ("ok", "err"))
    assert len(ok) + len(err) == 42 and len(err) == tree[1].err_lines > 0


def test_tree_splits_cover_all_lines_without_sharing_writers(tree):
    splits = {s: open_tree(tree, split=f"official/{s}")
              for s in ("train", "validation1", "validation2", "test")}
    assert {f"official/{s}": len(d) for s, d in splits.items()} == tree[1].splits
    assert sum(map(len, splits.values())) == 42
    writers = [{s.writer for s in d.samples} for d in splits.values()]
    assert sum(map(len, writers)) == len(set().union(*writers)) == 8
    aachen = [open_tree(tree, split=f"aachen/{s}") for s in ("train", "validation", "test")]
    assert sum(map(len, aachen)) == 42 and all(map(len, aachen))


def test_tree_images_are_crops_of_their_form(tree):
    forms = open_tree(tree, mode="form")
    pages = {sample.id: forms.image(i) for i, sample in enumerate(forms.samples)}
    words, lines = (open_tree(tree, mode=m, annotations="ascii") for m in ("word", "line"))
    for dataset in (words, lines):
        for index in range(0, len(dataset), 11):
            x, y, width, height = dataset.samples[index].extra["box"]
            page = pages[dataset.samples[index].extra["form"]]
            assert np.array_equal(page[y:y + height, x:x + width], dataset.image(index))


def test_tree_follows_from_its_seed_and_replaces_only_itself(tree, tmp_path):
    target = tmp_path / "iam"
    options = dict(lines_per_form=2, writers=4, progress=False)
    write_iam_tree(target, forms=4, seed=5, **options)
    first = {path.relative_to(target): path.read_bytes()
             for path in target.rglob("*") if path.is_file()}
    write_iam_tree(target, forms=5, seed=6, **options)
    assert len(list((target / "forms").iterdir())) == 5
    write_iam_tree(target, forms=4, seed=5, **options)
    assert first == {path.relative_to(target): path.read_bytes()
                     for path in target.rglob("*") if path.is_file()}
    assert [path.name for path in tmp_path.iterdir()] == ["iam"]
    (target / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"notes.txt\); not overwritten"):
        write_iam_tree(target, forms=4, **options)
    with pytest.raises(DataError, match="not overwritten"):
        write_iam_tree(tmp_path, forms=4, **options)
    assert (target / "notes.txt").read_text() == "mine"


def test_tree_leaves_nothing_when_it_is_stopped(tmp_path, monkeypatch):
    from ocr.synthesis import iam_tree

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(iam_tree, "_write_splits", fail)
    with pytest.raises(KeyboardInterrupt):
        write_iam_tree(tmp_path / "iam", forms=4, lines_per_form=1, writers=4, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_tree_of_own_text(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(("un mot & «l’été» #1 déjà\n" * 9 + "&amp; | 2π\n") * 4,
                    encoding="utf-8")
    written = write_iam_tree(tmp_path / "iam", forms=4, lines_per_form=2, writers=4,
                             text_file=str(text), progress=False)
    assert written.skipped > 0 and str(written.skipped) in str(written)
    dataset = open_dataset("iam", root=str(tmp_path / "iam"), split="all")
    assert len(dataset) == 8
    assert set(" ".join(dataset.texts()).split()) <= set("un mot & «l’été» #1 déjà".split())
    with pytest.raises(DataError, match="give a longer text"):
        write_iam_tree(tmp_path / "more", forms=40, writers=4, text_file=str(text))


@pytest.mark.parametrize("options, message", [
    ({"forms": 3, "writers": 8}, "3 forms for 8 writers"), ({"writers": 3}, "at least 4"),
    ({"lines_per_form": 100}, "lines_per_form must be"), ({"err_share": 2}, "err_share")])
def test_tree_options_are_checked(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        write_iam_tree(tmp_path / "x", **options)
    assert list(tmp_path.iterdir()) == []
