import pickle
import subprocess
import sys
import zlib

import numpy as np
import pytest

from ocr.data import open_dataset
from ocr.data.handwriting import STROKE_FONTS, can_write, draw_line, make_style, system_fonts
from ocr.data.sentences import make_text
from ocr.data.synthetic import write_iam_tree
from ocr.exceptions import ConfigError, DataError

HASH = """
import zlib
from ocr.data import open_dataset
d = open_dataset("synthetic", split="test", lines=9, writers=8, seed=4)
print(zlib.crc32(d.image(7).tobytes()), d[7].text)
"""


def test_the_same_in_another_process_and_order():
    dataset = open_dataset("synthetic", split="test", lines=9, writers=8, seed=4)
    here = f"{zlib.crc32(dataset.image(7).tobytes())} {dataset[7].text}"
    there = subprocess.run([sys.executable, "-c", HASH], capture_output=True, text=True,
                           check=True).stdout.strip()
    assert here == there
    part = pickle.loads(pickle.dumps(dataset.subset([7, 2])))
    assert np.array_equal(part.image(0), dataset.image(7))


def test_seeds_and_writers_differ():
    one, other = (open_dataset("synthetic", lines=5, seed=s) for s in (1, 2))
    assert one.texts() != other.texts()
    assert len({one.image_key(i) for i in range(5)}) == 5
    style = make_style(1, 0)
    assert style == make_style(1, 0) != make_style(1, 1)


def test_splits_share_no_writer():
    splits = [open_dataset("synthetic", split=s, lines=80, writers=12)
              for s in ("train", "validation1", "validation2", "test")]
    writers = [{x.writer for x in d.samples} for d in splits]
    assert all(not a & b for i, a in enumerate(writers) for b in writers[i + 1:])
    assert all(writers)


def test_lines_are_dark_ink_on_light_paper_with_word_boxes():
    rng = np.random.default_rng(0)
    for writer in range(6):
        image, boxes = draw_line("Three  little words", make_style(1, writer), rng)
        assert image.dtype == np.uint8 and np.median(image) > 200 and image.min() < 150
        assert len(boxes) == 3
        assert all(0 <= a < c <= image.shape[1] and 0 <= b < d <= image.shape[0]
                   for a, b, c, d in boxes)
        assert boxes[0][0] < boxes[1][0] < boxes[2][0]


def test_accents_are_composed_and_the_rest_is_named():
    assert can_write("Été à Noël, garçon ! « non » œ") == ["«", "»", "œ"]
    plain, _ = draw_line("e", make_style(1, 0), np.random.default_rng(0))
    accented, _ = draw_line("é", make_style(1, 0), np.random.default_rng(0))
    assert accented.shape[0] > plain.shape[0]
    with pytest.raises(DataError, match=r"'œ' \(U\+0153\)"):
        draw_line("œuf", make_style(1, 0), np.random.default_rng(0))
    with pytest.raises(DataError, match="no text"):
        draw_line("  ", make_style(1, 0), np.random.default_rng(0))


def test_own_text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"the line number {i} of my own text\n" for i in range(60)) + "œuf\n",
                    encoding="utf-8")
    train, test = (open_dataset("synthetic", split=s, lines=20, text_file=str(path))
                   for s in ("train", "test"))
    assert train.report.counts() == {"cannot be drawn": 1}
    words = set(" ".join(train.texts()).split()), set(" ".join(test.texts()).split())
    numbers = [{w for w in group if w.isdigit()} for group in words]
    assert numbers[0] and numbers[1] and not numbers[0] & numbers[1]
    with pytest.raises(DataError, match="cannot be read"):
        open_dataset("synthetic", text_file=str(tmp_path / "none.txt"))


def test_ttf_fonts():
    import matplotlib

    font = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    dataset = open_dataset("synthetic", lines=12, writers=20, fonts=[font])
    fonts = {make_style(1, s.extra["writer_number"], (font,)).font for s in dataset.samples}
    assert font in fonts and fonts <= {font, *STROKE_FONTS}
    for index, sample in enumerate(dataset.samples):
        image = dataset.image(index)
        assert image.min() < 150 and image.shape[1] > 5 * len(sample.text)
    assert isinstance(system_fonts(), list)
    with pytest.raises(DataError, match="no such font"):
        open_dataset("synthetic", fonts=["none.ttf"])


@pytest.mark.parametrize("options", [{"split": "dev"}, {"lines": 0}, {"writers": 3},
                                     {"fonts": "arial"}])
def test_bad_options(options):
    with pytest.raises(ConfigError):
        open_dataset("synthetic", **options)


def test_made_up_text_is_skewed_and_never_exhausted():
    words = make_text(np.random.default_rng(0), 6000).split()
    counts = sorted((words.count(w) for w in set(words)), reverse=True)
    assert counts[0] > 50 * np.median(counts)
    later = make_text(np.random.default_rng(1), 1000).split()
    unseen = np.mean([w not in set(words) for w in later])
    assert 0.005 < unseen < 0.25


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "iam"
    write_iam_tree(str(folder), forms=10, lines_per_form=3, writers=8, seed=2, progress=False)
    return folder


def test_tree_is_read_back_the_same_in_every_mode(tree):
    def open_(**options):
        return open_dataset("iam", root=str(tree), check_images=True, on_error="raise",
                            split="all", **options)

    for mode in ("line", "word", "form"):
        from_xml, from_ascii = (open_(mode=mode, annotations=a) for a in ("xml", "ascii"))
        assert {s.id: s.text for s in from_xml.samples} == {s.id: s.text
                                                            for s in from_ascii.samples}
        assert [s.writer for s in from_xml.samples] == [s.writer for s in from_ascii.samples]
    lines, words = open_(), open_(mode="word")
    assert len(lines) == 30
    joined = {}
    for word in words.samples:
        joined.setdefault(word.id.rsplit("-", 1)[0], []).append(word.text)
    assert {k: " ".join(v) for k, v in joined.items()} == {s.id: s.text for s in lines.samples}


def test_tree_splits_cover_all_lines_without_sharing_writers(tree):
    splits = [open_dataset("iam", root=str(tree), split=f"official/{s}")
              for s in ("train", "validation1", "validation2", "test")]
    assert sum(map(len, splits)) == 30
    writers = [{s.writer for s in d.samples} for d in splits]
    assert sum(map(len, writers)) == len(set().union(*writers)) == 8
    aachen = [open_dataset("iam", root=str(tree), split=f"aachen/{s}")
              for s in ("train", "validation", "test")]
    assert [len(aachen[0]), len(aachen[2])] == [len(splits[0]), len(splits[3])]


def test_tree_words_are_crops_of_their_form(tree):
    words = open_dataset("iam", root=str(tree), split="all", mode="word")
    forms = open_dataset("iam", root=str(tree), split="all", mode="form")
    pages = {s.id: forms.image(i) for i, s in enumerate(forms.samples)}
    for index in range(0, len(words), 17):
        x, y, width, height = words[index].extra["box"]
        page = pages["-".join(words[index].id.split("-")[:2])]
        assert np.array_equal(page[y:y + height, x:x + width], words.image(index))


def test_tree_replaces_a_tree_but_nothing_else(tree, tmp_path):
    first = (tree / "ascii" / "lines.txt").read_bytes()
    write_iam_tree(str(tree), forms=10, lines_per_form=3, writers=8, seed=2, progress=False)
    assert (tree / "ascii" / "lines.txt").read_bytes() == first
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(DataError, match="not overwritten"):
        write_iam_tree(str(tmp_path), forms=10, writers=8)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]
    with pytest.raises(ConfigError, match="3 forms for 8 writers"):
        write_iam_tree(str(tmp_path / "x"), forms=3, writers=8)
