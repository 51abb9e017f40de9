import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lm.base.errors import AlphabetError, ConfigError, DataError, MissingDataError
from ocr.batching import PreparedLines, TrainingBatches
from ocr.data import open_dataset
from ocr.data.index_file import IndexCodec, read_characters, write_alphabet
from ocr.image import PreprocessConfig
from ocr.text.alphabet import Alphabet

#: Line 0 is a space; "b" stands on lines 2 and 5.
CHARACTERS = [" ", "a", "b", "é", "中", "b", "\u2028"]


def write_index(folder, rows, characters=CHARACTERS, end="\n"):
    """An index file and its character file; returns the options of the source."""
    (folder / "chars.txt").write_bytes((end.join(characters) + end).encode())
    (folder / "rows.txt").write_bytes(rows.encode() if isinstance(rows, str) else rows)
    return {"path": str(folder / "rows.txt"), "characters": str(folder / "chars.txt"),
            "root": str(folder / "images")}


def write_images(folder, *names, width=40):
    (folder / "images").mkdir(exist_ok=True)
    for k, name in enumerate(names):
        picture = np.full((16, width), 255, np.uint8)
        picture[4:12, 5 + k:20 + k] = 0
        Image.fromarray(picture).save(folder / "images" / name)


# -- characters ---------------------------------------------------------------------------

@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_character_files(tmp_path, end, last):
    content = end.join(CHARACTERS) + (end if last else "")
    (tmp_path / "c.txt").write_bytes(content.encode())
    assert read_characters(tmp_path / "c.txt") == CHARACTERS
    (tmp_path / "c.txt").write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert read_characters(tmp_path / "c.txt") == CHARACTERS


def test_bad_character_files(tmp_path):
    path = tmp_path / "c.txt"
    for content, message in ((b"a\n\nb\n", "c.txt, line 2: '' is not a single"),
                             (b"a\nbc\n", "c.txt, line 2: 'bc'"), (b"", "holds no characters"),
                             (b"a\n\xff\n", "c.txt, line 2: not UTF-8")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_characters(path)
    with pytest.raises(MissingDataError, match="no such character file"):
        read_characters(tmp_path / "none.txt")


@given(st.lists(st.characters(min_codepoint=33, max_codepoint=60), min_size=1, max_size=80),
       st.sampled_from(["last", "first"]))
def test_every_index_goes_to_its_canonical_one_and_back(characters, blank):
    codec = IndexCodec(characters, blank)
    for index in range(codec.first, codec.stop):
        [canonical] = codec.encode(codec.decode([index]))
        assert canonical == codec.canonical(index) <= index
        assert codec.decode([canonical]) == codec.decode([index])
        assert canonical == codec.first + characters.index(codec.decode([index]))
        if characters.count(characters[index - codec.first]) == 1:
            assert canonical == index
    # The classes of the alphabet: one a distinct character, in file order.
    alphabet = codec.alphabet()
    assert list(alphabet.characters) == list(dict.fromkeys(characters))


def test_thousands_of_characters_with_repeats(tmp_path):
    characters = [chr(0x4E00 + k) for k in range(5985)]
    for place, source in ((5464, 10), (5539, 100), (5565, 19), (5745, 48), (5800, 7)):
        characters.insert(place, characters[source])
    (tmp_path / "c.txt").write_text("\n".join(characters) + "\n", encoding="utf-8")
    codec = IndexCodec(read_characters(tmp_path / "c.txt"))
    assert codec.stop == 5990
    moved = [k for k in range(5990) if codec.encode(codec.decode([k])) != [k]]
    assert moved == [5464, 5539, 5565, 5745, 5800]
    assert [codec.canonical(k) for k in moved] == [10, 100, 19, 48, 7]
    assert codec.alphabet().num_classes == 5986
    assert write_alphabet(codec.characters, tmp_path / "a.txt", 5990).num_classes == 5990


def test_blank_first():
    codec = IndexCodec("ab", "first")
    assert codec.decode([1, 2, 1]) == "aba" and codec.encode("ba") == [2, 1]
    with pytest.raises(AlphabetError, match=r"index 0 is not one of 1..2 \(0 is the blank\)"):
        codec.decode([0])
    with pytest.raises(AlphabetError, match="index 3 is not one of 1..2"):
        codec.decode([3])
    with pytest.raises(AlphabetError, match="index -1 is not one of 0..1"):
        IndexCodec("ab").decode([-1])
    with pytest.raises(AlphabetError, match="'x' is not in the character file"):
        codec.encode("ax")
    with pytest.raises(ConfigError, match="unknown index blank 'middle'; known: last, first"):
        IndexCodec("ab", "middle")


def test_alphabet_files(tmp_path):
    path = tmp_path / "alphabet.txt"
    written = write_alphabet(CHARACTERS, path)
    assert Alphabet.from_file(path) == written == Alphabet([" ", "a", "b", "é", "中", "\u2028"])
    assert written.num_classes == 7
    # Filled up to a number of outputs with characters that no label has.
    filled = write_alphabet(CHARACTERS + ["\ue001"], path, outputs=10)
    assert Alphabet.from_file(path) == filled and filled.num_classes == 10
    assert filled.characters[6:] == ("\ue001", "\ue000", "\ue002")
    assert Alphabet.from_dict(filled.to_dict()) == filled
    with pytest.raises(ConfigError, match="outputs is 6; at least 7"):
        write_alphabet(CHARACTERS, path, outputs=6)
    with pytest.raises(ConfigError, match="outputs is 99999; at most"):
        write_alphabet(CHARACTERS, path, outputs=99999)


# -- rows ---------------------------------------------------------------------------------

@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_reads_rows(tmp_path, end, last):
    write_images(tmp_path, "x.png", "y.png")
    options = write_index(tmp_path, f"x.png 0 1 5{end}y.png\t4  2" + (end if last else ""),
                          end=end)
    dataset = open_dataset("index", **options)
    assert dataset.texts() == [" ab", "中b"] and dataset.split == "rows"
    sample = dataset.samples[0]
    assert (sample.id, sample.extra) == ("x.png", {"line": 1, "indices": (0, 1, 5)})
    assert dataset.codec.encode(sample.text) == [0, 1, 2]
    assert dataset.image(1).shape == dataset.image_size(1) == (16, 40)
    first = open_dataset("index", **options, blank="first", on_error="skip")
    assert [s.text for s in first.samples] == ["éa"]
    assert first.report.counts() == {"index out of range": 1}


def test_bad_rows_are_counted_or_fatal(tmp_path):
    write_images(tmp_path, "x.png", "y.png", "z.png")
    (tmp_path / "images" / "z.png").write_bytes(b"no image")
    rows = [b"x.png 1 2", b"", b"y.png", b"y.png 7", b"y.png -1", b"y.png 1_0", b"y.png 1.5",
            "y.png \u0661".encode(), b"y.png " + b"9" * 5000, b"none.png 1", b"\xff.png 1",
            b"y.png 1 1 1 1", b"x.png 3", b"y.png 2", b"z.png 1", b"   "]
    options = write_index(tmp_path, b"\n".join(rows))
    dataset = open_dataset("index", **options, max_length=3, check_images=True)
    assert [(s.id, s.text, s.extra["line"]) for s in dataset.samples] == [
        ("x.png", "ab", 1), ("y.png", "b", 14)]
    assert dataset.report.counts() == {
        "empty row": 2, "empty label": 1, "index out of range": 2, "not an index": 4,
        "missing image": 1, "not UTF-8": 1, "label too long": 1, "repeated file": 1,
        "unreadable image": 1}
    lines = {skip.id: skip.detail for skip in dataset.report.skips}
    assert "rows.txt, line 4: index 7 is not one of 0..6" in lines["rows.txt:4"]
    assert "line 6: '1_0'" in lines["rows.txt:6"]
    assert "line 12: 4 indices, at most 3" in lines["rows.txt:12"]
    assert "line 13: x.png stood before" in lines["rows.txt:13"]


@pytest.mark.parametrize("row, message", [
    ("", "line 2: neither"), ("y.png", "line 2: y.png has no indices"),
    ("y.png 7", "line 2: index 7"), ("y.png x", "line 2: 'x'"),
    ("n.png 1", "line 2: .*n.png is not there"), ("x.png 2", "line 2: x.png stood before"),
])
def test_a_bad_row_can_be_fatal(tmp_path, row, message):
    write_images(tmp_path, "x.png", "y.png")
    options = write_index(tmp_path, f"x.png 1\n{row}\ny.png 1\n")
    with pytest.raises(DataError, match=message):
        open_dataset("index", **options, on_error="raise")


def test_characters_that_compose_are_bad(tmp_path):
    write_images(tmp_path, "x.png", "y.png")
    options = write_index(tmp_path, "x.png 0 1\ny.png 1 0\n", characters=["e", "\u0301"])
    dataset = open_dataset("index", **options)
    assert [s.id for s in dataset.samples] == ["y.png"]
    assert dataset.report.counts() == {"not in Unicode NFC": 1}


def test_bad_settings_and_files(tmp_path):
    write_images(tmp_path, "x.png")
    options = write_index(tmp_path, "")
    with pytest.raises(DataError, match="rows.txt: holds no rows"):
        open_dataset("index", **options)
    options = write_index(tmp_path, "x.png 1\n")
    with pytest.raises(MissingDataError, match="none.txt: no such index file"):
        open_dataset("index", **{**options, "path": str(tmp_path / "none.txt")})
    with pytest.raises(ConfigError, match="unknown index.blank 'no'"):
        open_dataset("index", **options, blank="no")
    with pytest.raises(ConfigError, match="index.limit must be at least 1"):
        open_dataset("index", **options, limit=0)
    # Rows are parsed again later; a file that changed is noticed.
    dataset = open_dataset("index", **options)
    with open(options["path"], "r+b") as out:
        out.write(b"x.png x")
    with pytest.raises(DataError, match="line 1: has changed since it was opened"):
        dataset[0]


def test_subsets_copies_and_limits(tmp_path):
    names = [f"{k}.png" for k in range(6)]
    write_images(tmp_path, *names)
    options = write_index(tmp_path, "".join(f"{n} {k}\n" for k, n in enumerate(names)))
    dataset = open_dataset("index", **options)
    part = pickle.loads(pickle.dumps(dataset.subset([4, 0, 5], split="part")))
    assert part.texts() == ["中", " ", "b"] and part.split == "part"
    assert np.array_equal(part.image(2), dataset.image(5))
    assert part.image_key(0) == dataset.image_key(4) != dataset.image_key(0)
    assert [s.id for s in dataset.samples[1:3]] == names[1:3]
    assert len(open_dataset("index", **options, limit=4)) == 4


def test_many_rows_cost_little_memory(tmp_path):
    count = 5000
    (tmp_path / "images").mkdir()
    rows = []
    for k in range(count):
        (tmp_path / "images" / f"{k}.png").touch()
        rows.append(f"{k}.png " + " ".join(str((k + j) % 7) for j in range(10)))
    options = write_index(tmp_path, "\n".join(rows) + "\n")
    tracemalloc.start()
    dataset = open_dataset("index", **options)
    half = dataset.subset(np.arange(0, count, 2))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A sample with its strings is far above 300 bytes.
    assert len(half) == count // 2 and held < 60 * count
    assert half.samples[7].extra["line"] == 15 and half.samples[7].id == "14.png"


# -- training on it -----------------------------------------------------------------------

def batches_of(dataset, config):
    prepared = PreparedLines(dataset, config, progress=False)
    labels = [dataset.codec.alphabet().encode(s.text) for s in prepared.dataset.samples]
    return TrainingBatches(prepared, labels, 2, None, seed=3, frame_count=lambda w: w // 4,
                           workers=2)


@pytest.mark.parametrize("box", [None, 48])
def test_streamed_training_gives_the_same_batches(tmp_path, box):
    write_images(tmp_path, *(f"{k}.png" for k in range(5)))
    write_images(tmp_path, "wide.png", width=70)
    options = write_index(tmp_path, "".join(f"{k}.png {k} 1\n" for k in range(5))
                          + "wide.png 1 1 1\n")
    config = PreprocessConfig(height=32, width=box, max_width=120)
    kept, streamed = (batches_of(open_dataset("index", **options, stream=stream), config)
                      for stream in (False, True))
    assert streamed.prepared._lines is None
    assert np.array_equal(kept.prepared.widths, streamed.prepared.widths)
    for epoch in range(2):
        pairs = list(zip(kept.epoch(epoch), streamed.epoch(epoch)))
        assert len(pairs) == 3
        for a, b in pairs:
            assert np.array_equal(a.images, b.images) and a.indices == b.indices
            assert np.array_equal(a.labels, b.labels)
    first = streamed.prepared.part(0, 2)
    assert len(first) == 2 and np.array_equal(first[1], kept.prepared[1])


def test_streaming_and_damaged_images(tmp_path):
    write_images(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "images" / "b.png").write_bytes(b"no image")
    whole = (tmp_path / "images" / "c.png").read_bytes()
    (tmp_path / "images" / "c.png").write_bytes(whole[:-30])
    options = write_index(tmp_path, "a.png 1\nb.png 2\nc.png 3\n")
    dataset = open_dataset("index", **options, stream=True)
    cache = tmp_path / "cache"
    prepared = PreparedLines(dataset, PreprocessConfig(height=16), str(cache), progress=False)
    # The head tells of one; the other fails when it is read, and nothing is written.
    assert [s.id for s in prepared.dataset.samples] == ["a.png", "c.png"]
    assert dataset.report.counts() == {"unreadable image": 1}
    with pytest.raises(DataError, match="c.png: not a readable image"):
        prepared[1]
    assert not cache.exists()
    checked = open_dataset("index", **options, stream=True, check_images=True)
    assert checked.texts() == ["a"] and checked.report.counts() == {"unreadable image": 2}
