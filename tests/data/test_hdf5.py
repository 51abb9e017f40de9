import dataclasses
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

from lm.base.errors import AlphabetError, ConfigError, DataError, MissingDataError
from lm.base.signals import Interrupted
from ocr.batching import PreparedLines
from ocr.checkpoints.settings import DataConfig
from ocr.data import LineDataset, LineSample, SkipReport, open_dataset
from ocr.data.journal import part_path
from ocr.data.packing import PackSettings, pack_lines
from ocr.image import PreprocessConfig
from ocr.text.alphabet import Alphabet
from ocr.training.sources import open_split

from ..conftest import draw_text

h5py = pytest.importorskip("h5py")

SCALED_16 = PackSettings("scaled", PreprocessConfig(height=16))
TEXTS = (b"un", "été".encode(), b" ")
ALPHABET = Alphabet("abcdefghijklmnopqrstuvwxyzé “0123456789")


def pixels(index):
    """A small image whose size and pixels follow from `index`."""
    rng = np.random.default_rng(index)
    height, width = rng.integers(3, 40), rng.integers(1, 900)
    return rng.integers(0, 256, (height, width)).astype(np.uint8)


class Made(LineDataset):
    """Lines made in memory; every seventh cannot be read, and line `deadly` is the last."""

    deadly, how = None, None

    def __init__(self, split="train", count=30, on_error="skip"):
        report = SkipReport(on_error)
        if on_error == "skip":
            report.add("gone", "missing image", "gone.png is not there")
        super().__init__("made", f"official/{split}", [
            LineSample(f"{split}-{i}", f"ligne été “{i}", os.path.join("images", split, f"{i}.png"),
                       f"w{i % 3}" if i % 2 else None, {"box": (i, 2), "page": "à"})
            for i in range(count)], report)

    def image(self, index):
        number = int(self.samples[index].id.split("-")[1])
        if number == self.deadly:
            self.how()
        if number % 7 == 6:
            raise DataError(f"{number}.png: not a readable image")
        return pixels(number)

    def image_key(self, index):
        return self.samples[index].id


def readable(count):
    return [i for i in range(count) if i % 7 != 6]


def pack(path, datasets=None, settings=None, **options):
    datasets = datasets or {"train": Made(), "test": Made("test", 5)}
    return pack_lines(path, datasets, ALPHABET, settings or PackSettings(), progress=False,
                      **options)


@pytest.mark.parametrize("compression", ["none", "lzf", "gzip"])
def test_what_is_read_is_what_was_packed(tmp_path, compression):
    path = tmp_path / "lines.hdf5"
    packed = pack(path, settings=PackSettings(compression=compression),
                  origin={"source": "made"})
    assert packed.lines == {"train": 26, "test": 5} and packed.skipped == {"train": 5, "test": 1}
    assert str(packed).startswith("train 26 (5 skipped), test 5 (1 skipped); ")
    assert packed.size == path.stat().st_size and os.listdir(tmp_path) == ["lines.hdf5"]
    source, dataset = Made(), open_dataset("hdf5", path=str(path), alphabet=ALPHABET)
    assert (dataset.name, dataset.split) == ("made", "official/train")
    assert len(dataset) == 26 and not dataset.stream
    for index, number in enumerate(readable(30)):
        stored, sample = dataset.samples[index], source.samples[number]
        assert (stored.id, stored.text, stored.writer) == (sample.id, sample.text, sample.writer)
        assert stored.path is None
        assert stored.extra == {"file": f"{number}.png", "box": [number, 2], "page": "à"}
        assert (dataset.image(index) == pixels(number)).all()
        assert dataset.image_size(index) == pixels(number).shape
    assert dataset.report.counts() == {"missing image": 1, "unreadable image": 4}
    assert dataset.report.skips[1].id == "train-6"
    with h5py.File(path, "r") as file:
        assert file.attrs["alphabet"] == "".join(ALPHABET.characters)
        assert json.loads(file.attrs["settings"])["origin"] == {"source": "made"}


def test_subsets_normalisation_and_default_splits_keep_text_and_image_together(tmp_path):
    pack(tmp_path / "lines.hdf5")
    data = DataConfig("hdf5", {"path": str(tmp_path / "lines.hdf5")}, normalise=("accents",))
    dataset = open_split(data, "train")
    assert dataset.samples[3].text == "ligne ete “3"
    part = dataset.subset([9, 2])
    assert (part.image(0) == pixels(10)).all() and (part.image(1) == pixels(2)).all()
    assert part.image_key(0) == dataset.image_key(9) != part.image_key(1)
    assert len(open_split(data, "test")) == 5
    with pytest.raises(DataError, match="no split 'validation'; found: test, train"):
        open_split(data, "validation")


def test_a_new_file_has_new_image_keys(tmp_path):
    path = tmp_path / "lines.hdf5"
    pack(path)
    first = open_dataset("hdf5", path=str(path))
    key = first.image_key(0)
    assert (first.image(0) == pixels(0)).all()
    pack(path, settings=SCALED_16)
    assert first.image_key(0) != key
    # What is open stays what it was; a thread that opens it now must not mix the two.
    assert (first.image(0) == pixels(0)).all()
    failures = []

    def read():
        with pytest.raises(DataError, match="was replaced while in use"):
            first.image(1)
        failures.append(1)
    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert failures == [1]


def test_lines_prepared_before_are_those_prepared_later(tmp_path):
    """However much of the preparing is done before, the network gets the same, to the bit."""
    text = Made("train", 3)
    text.image = lambda index: (draw_text("abc def", height=40, seed=index)
                                * np.linspace(0.6, 1, draw_text("abc def").shape[1])).astype("u1")
    configs = [PreprocessConfig(height=20), PreprocessConfig(height=32, width=200, deslant=True),
               PreprocessConfig(height=20, cleaning="even", deslant=True, binarise="otsu")]
    for number, config in enumerate(configs):
        fresh = PreparedLines(text, config, progress=False)
        for done in ("", "cleaned", "scaled"):
            path = str(tmp_path / f"{number}{done}.hdf5")
            pack(path, {"train": text}, PackSettings(done, config))
            for stream in (False, True):
                packed = open_dataset("hdf5", path=path, stream=stream)
                lines = PreparedLines(packed, config, progress=False)
                assert all(np.array_equal(fresh[i], lines[i]) for i in range(3))
                assert lines.widths.tolist() == fresh.widths.tolist()
            # Packed again as it is.
            pack(tmp_path / "again.hdf5", {"train": packed}, PackSettings(done, config))
            assert (open_dataset("hdf5", path=str(tmp_path / "again.hdf5")).image(1)
                    == packed.image(1)).all()
    assert open_dataset("hdf5", path=str(tmp_path / "0scaled.hdf5")).name \
        == "made [cleaned, height 20]"
    assert open_dataset("hdf5", path=str(tmp_path / "2cleaned.hdf5")).name \
        == "made [even light, deslanted]"


def test_other_settings_than_those_packed_with_are_refused(tmp_path):
    config = PreprocessConfig(height=20, cleaning="even", deslant=True)
    pack(tmp_path / "c.hdf5", settings=PackSettings("cleaned", config))
    dataset = open_dataset("hdf5", path=str(tmp_path / "c.hdf5"))
    PreparedLines(dataset, dataclasses.replace(config, height=30), progress=False)
    with pytest.raises(ConfigError, match=r"c.hdf5: its lines were prepared with "
                       r"preprocess.cleaning='even', preprocess.deslant=True; asked for: "
                       r"'auto', False; set the same"):
        PreparedLines(dataset, PreprocessConfig(height=20), progress=False)
    pack(tmp_path / "s.hdf5", settings=PackSettings("scaled", config))
    scaled = open_dataset("hdf5", path=str(tmp_path / "s.hdf5"))
    with pytest.raises(ConfigError, match="prepared with preprocess.height=20; asked for: 30"):
        PreparedLines(scaled, dataclasses.replace(config, height=30), progress=False)
    with pytest.raises(ConfigError, match="scaled already and cannot be stored as cleaned"):
        pack(tmp_path / "again.hdf5", {"train": scaled}, PackSettings("cleaned", config))


# -- stops ------------------------------------------------------------------------------------

KILL = """
import os, signal, sys
from tests.data.test_hdf5 import Made, pack
train = Made()
train.deadly, train.how = int(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL)
pack(sys.argv[1], {"train": train, "test": Made("test", 5)})
"""


@pytest.mark.parametrize("deadly", [1, 21])
def test_going_on_after_a_kill_gives_the_same_file(tmp_path, deadly):
    killed = subprocess.run([sys.executable, "-c", KILL, str(tmp_path / "a.hdf5"), str(deadly)])
    assert killed.returncode == -9
    assert os.listdir(tmp_path) == [".a.hdf5.part"]
    with pytest.raises(DataError, match="a.hdf5.part: a stopped run; go on with --resume"):
        pack(tmp_path / "a.hdf5")
    with pytest.raises(DataError, match="a.hdf5.part: not an HDF5 file"):
        open_dataset("hdf5", path=part_path(tmp_path / "a.hdf5"))
    said = []
    pack(tmp_path / "a.hdf5", resume=True, say=said.append)
    # Lines 0 and 16 are flushed if no later one, and lines 6, 13 and 20 cannot be read.
    done = int(said[0].split("going on after ")[1].split()[0])
    assert done == 1 if deadly == 1 else 15 <= done <= 18
    pack(tmp_path / "b.hdf5", resume=True)
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.hdf5", "b.hdf5"]


def test_a_signal_keeps_the_line_and_a_failure_does_not_hurt(tmp_path):
    import signal

    pack(tmp_path / "b.hdf5")
    train = Made()
    train.deadly, train.how = 10, lambda: os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted, match="go on with --resume"):
        pack(tmp_path / "a.hdf5", {"train": train, "test": Made("test", 5)})

    def fail():
        raise ZeroDivisionError
    train.deadly, train.how = 19, fail
    said = []
    with pytest.raises(ZeroDivisionError):
        pack(tmp_path / "a.hdf5", {"train": train, "test": Made("test", 5)}, resume=True,
             say=said.append)
    # Line 6 cannot be read.
    assert said[0].endswith("going on after 10 lines")
    pack(tmp_path / "a.hdf5", resume=True)
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def stop(path, deadly=20):
    """Leave a stopped run behind."""
    def fail():
        raise ZeroDivisionError
    train = Made()
    train.deadly, train.how = deadly, fail
    with pytest.raises(ZeroDivisionError):
        pack(path, {"train": train, "test": Made("test", 5)})


def test_going_on_with_something_else_is_refused(tmp_path):
    stop(tmp_path / "a.hdf5")
    for options in ({"settings": SCALED_16},
                    {"datasets": {"train": Made()}},
                    {"datasets": {"train": Made(count=29), "test": Made("test", 5)}}):
        with pytest.raises(DataError, match="other data, splits or settings"):
            pack(tmp_path / "a.hdf5", resume=True, **options)


def test_what_a_stop_left_in_pieces_is_cut_off(tmp_path):
    pack(tmp_path / "b.hdf5")
    path, part = tmp_path / "a.hdf5", part_path(tmp_path / "a.hdf5")
    stop(path)
    with open(part, "rb") as file:
        stopped = file.read()
    kept = []
    for share in (0, 0.001, 0.1, 0.5, 0.999):
        for flip in (False, True):
            place = int(share * (len(stopped) - 1))
            cut = bytearray(stopped if flip else stopped[:place])
            if flip:
                cut[place] ^= 1
            with open(part, "wb") as file:
                file.write(cut)
            said = []
            pack(path, resume=True, say=said.append)
            assert path.read_bytes() == (tmp_path / "b.hdf5").read_bytes()
            words = said[0].split() if said else ["0", "lines"]
            kept.append(int(words[-2]) if words[-1] == "lines" else 0)
    # A flipped bit in a line's record costs the lines from there on.
    assert kept[0] == kept[1] == 0 and 0 < kept[4] <= kept[6] < kept[8] <= 18
    assert kept[9] == kept[8]


def test_a_stop_while_the_hdf5_file_is_written(tmp_path, monkeypatch):
    import h5py._hl.dataset

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(h5py._hl.dataset.Dataset, "resize", full)
        with pytest.raises(DataError, match="a.hdf5: cannot be written .*No space left"):
            pack(tmp_path / "a.hdf5")
    assert os.listdir(tmp_path) == [".a.hdf5.part"]
    said = []
    assert pack(tmp_path / "a.hdf5", resume=True, say=said.append).lines["train"] == 26
    assert said[0].endswith("going on after 31 lines")


def test_one_process_alone_writes(tmp_path):
    import fcntl

    with open(part_path(tmp_path / "a.hdf5"), "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        run = subprocess.run(
            [sys.executable, "-c", "import sys\nfrom tests.data.test_hdf5 import pack\n"
             "pack(sys.argv[1], resume=True)", str(tmp_path / "a.hdf5")],
            capture_output=True, text=True)
    assert run.returncode == 1 and "in use by another process" in run.stderr


def test_files_of_others_stay(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["a"] = 1
    for name in ("mine.txt", "other.hdf5"):
        with pytest.raises(DataError, match=f"{name}: is there and no file of ocr pack"):
            pack(tmp_path / name)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_lines_that_cannot_be_stored(tmp_path):
    bad = Made(count=3)
    bad.samples[1] = LineSample("nul", "a\0b")
    bad.samples[2] = LineSample("half", "a\ud800")
    bad.image = lambda index: pixels(0)
    pack(tmp_path / "a.hdf5", {"train": bad})
    dataset = open_dataset("hdf5", path=str(tmp_path / "a.hdf5"))
    assert len(dataset) == 1 and dataset.report.counts()["cannot be stored"] == 2
    with pytest.raises(DataError, match="train-6: unreadable image: 6.png"):
        pack(tmp_path / "b.hdf5", {"train": Made(on_error="raise")})


def test_settings_are_checked():
    for options, message in (({"done": "half"}, "done 'half'; known: "),
                             ({"compression": "zip"}, "compression 'zip'; known: none")):
        with pytest.raises(ConfigError, match=message):
            PackSettings(**options)


# -- opening ----------------------------------------------------------------------------------

def test_unusable_files(tmp_path):
    path = tmp_path / "a.hdf5"
    with pytest.raises(MissingDataError, match="a.hdf5: no such HDF5 file"):
        open_dataset("hdf5", path=str(path))
    path.write_text("no HDF5")
    with pytest.raises(DataError, match="a.hdf5: not an HDF5 file, or cut short"):
        open_dataset("hdf5", path=str(path))
    path.unlink()
    pack(path)
    whole = path.read_bytes()
    for share in (0.2, 0.6, 0.99):
        path.write_bytes(whole[:int(share * len(whole))])
        with pytest.raises(DataError, match="a.hdf5: not an HDF5 file, or cut short"):
            open_dataset("hdf5", path=str(path))
    for name, value, message in (("version", 9, "of format version 9; this library reads 2"),
                                 ("format", "x", "no file of ocr pack")):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value
        with pytest.raises(DataError, match=f"a.hdf5: {message}"):
            open_dataset("hdf5", path=str(path), layout="packed")
    with pytest.raises(ConfigError, match="unknown hdf5.layout 'x'; known: auto"):
        open_dataset("hdf5", path=str(path), layout="x")


@pytest.mark.parametrize("name, message", [
    ("texts", "train counts 26 lines but holds 3 texts"),
    ("heights", "train counts 26 lines but holds 3 heights"),
    ("skips", "train counts 5 skips but holds 3 skips"),
    ("pixels", "sizes and places of the images disagree")])
def test_counts_must_agree(tmp_path, name, message):
    pack(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["train"][name].resize((3,))
    with pytest.raises(DataError, match=message):
        open_dataset("hdf5", path=str(tmp_path / "a.hdf5"))


def test_one_flipped_bit_of_a_transcript_is_noticed(tmp_path):
    """Wherever it is: texts lie as they are in the file."""
    path = tmp_path / "a.hdf5"
    pack(path)
    whole = path.read_bytes()
    for text in ("ligne été “17".encode(), b"train-11", b"23.png", b'"box": [29'):
        place = whole.rindex(text) + 1
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1:])
        with pytest.raises(DataError, match="a.hdf5: train: damaged: the checksum of its"):
            open_dataset("hdf5", path=str(path))
    for column in ("heights", "crc32"):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            file[f"train/{column}"][3] += 1
        with pytest.raises(DataError, match="the checksum of its transcripts and sizes is wrong"):
            open_dataset("hdf5", path=str(path))
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.attrs["alphabet"] = "abc"
    with pytest.raises(DataError, match="checksum"):
        open_dataset("hdf5", path=str(path))


def leading_away(name):
    """Return functions that make a file whose data lie elsewhere, by the way they do."""
    def link(file, other):
        del file[name]
        file[name] = h5py.ExternalLink(other, name)

    def soft(file, other):
        del file[name]
        file[name] = h5py.SoftLink("/test")

    def virtual(file, other):
        group = file[name]
        dataset = "dt" if "dt" in group else "pixels"
        layout = h5py.VirtualLayout(shape=group[dataset].shape, dtype=np.uint8)
        layout[:] = h5py.VirtualSource(other, f"{name}/{dataset}", shape=group[dataset].shape)
        del group[dataset]
        group.create_virtual_dataset(dataset, layout)

    def outside(file, other):
        group = file[name]
        dataset = "dt" if "dt" in group else "pixels"
        shape = group[dataset].shape
        del group[dataset]
        group.create_dataset(dataset, shape, np.uint8, external=[(other, 0, h5py.h5f.UNLIMITED)])

    return link, soft, virtual, outside


@pytest.mark.parametrize("layout", ["packed", "flor"])
@pytest.mark.parametrize("way", range(4))
def test_data_that_lie_in_another_file_are_refused(tmp_path, layout, way):
    path, other = tmp_path / "a.hdf5", tmp_path / "other.hdf5"
    for target in (path, other):
        write_flor(target) if layout == "flor" else pack(target)
    with h5py.File(path, "r+") as file:
        leading_away("train")[way](file, str(other))
    with pytest.raises(DataError, match="a.hdf5: /train.* (is a link|in another file); refused"):
        open_dataset("hdf5", path=str(path))


def test_huge_declared_sizes_are_refused(tmp_path):
    path = tmp_path / "a.hdf5"
    pack(path)
    with h5py.File(path, "r+") as file:
        for name in ("offsets", "heights", "ids"):
            file["train"][name].resize((1 << 40,))
        file["train"].attrs["lines"] = 1 << 40
    with pytest.raises(DataError, match="/train/.* declares 8796093022208 bytes, of which"):
        open_dataset("hdf5", path=str(path))
    with h5py.File(path, "w") as file:
        file.create_dataset("train/dt", (1 << 40, 1 << 20, 1 << 20), np.uint8, chunks=(1, 9, 9))
        file.create_dataset("train/gt", (1 << 40,), "S9", chunks=(9,))
    with pytest.raises(DataError, match="/train/dt declares .* bytes, of which 0 are stored"):
        open_dataset("hdf5", path=str(path))


def test_damaged_pixels_are_noticed(tmp_path):
    pack(tmp_path / "a.hdf5", settings=PackSettings(compression="none"))
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["train/pixels"][file["train/offsets"][2]] ^= 1
    dataset = open_dataset("hdf5", path=str(tmp_path / "a.hdf5"))
    with pytest.raises(DataError, match="a.hdf5, train, line train-2: .* checksum is wrong"):
        dataset.image(2)
    checked = open_dataset("hdf5", path=str(tmp_path / "a.hdf5"), check_images=True)
    assert len(checked) == 25 and checked.report.skips[-1].id == "train-2"
    assert (checked.image(2) == pixels(3)).all()


def test_alphabets(tmp_path):
    path = str(tmp_path / "a.hdf5")
    stray = Made(count=3)
    stray.samples[1] = LineSample("stray-1", "Ä")
    pack(path, {"train": stray})
    same = Alphabet(reversed(ALPHABET.characters))
    dataset = open_dataset("hdf5", path=path, alphabet=same)
    assert [s.id for s in dataset.samples] == ["train-0", "train-2"]
    assert (dataset.image(1) == pixels(2)).all()
    assert dataset.report.counts()["outside the alphabet"] == 1
    with pytest.raises(DataError, match="stray-1: outside the alphabet"):
        open_dataset("hdf5", path=path, alphabet=same, on_error="raise")
    with pytest.raises(DataError, match=r"a.hdf5: packed with another alphabet \(39 characters\) "
                       r"than asked for \(79\): only in the file: 'é' '“'; only asked"):
        open_dataset("hdf5", path=path, alphabet="iam")
    with pytest.raises(AlphabetError, match="none.txt: no such file"):
        open_dataset("hdf5", path=path, alphabet=str(tmp_path / "none.txt"))


def test_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConfigError, match="pip install h5py"):
        pack(tmp_path / "a.hdf5")


# -- many readers -----------------------------------------------------------------------------

def read_all(dataset, order):
    numbers = readable(30)
    return all((dataset.image(i) == pixels(numbers[i])).all() for i in order)


def test_several_threads_and_processes_read_at_once(tmp_path):
    pack(tmp_path / "a.hdf5")
    dataset = open_dataset("hdf5", path=str(tmp_path / "a.hdf5"))
    orders = [np.random.default_rng(k).permutation(26) for k in range(4)]
    assert read_all(dataset, orders[0])
    stop, results = threading.Event(), []

    def keep_reading(order):
        good = True
        while good and not stop.is_set():
            good = read_all(dataset, order)
        results.append(good)

    threads = [threading.Thread(target=keep_reading, args=(order,)) for order in orders[:2]]
    for thread in threads:
        thread.start()
    try:
        # Forked while the threads are inside the library; a held lock would stay held.
        for _ in range(5):
            with multiprocessing.get_context("fork").Pool(2) as pool:
                jobs = [pool.apply_async(read_all, (dataset, order)) for order in orders]
                assert all(job.get(timeout=60) for job in jobs)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert results == [True, True]
    assert read_all(pickle.loads(pickle.dumps(dataset)), orders[0])


# -- Flor's layout ----------------------------------------------------------------------------

def write_flor(path, shape=(48, 16), texts=TEXTS, kind=np.uint8):
    rng = np.random.default_rng(1)
    images = {}
    with h5py.File(path, "w") as file:
        for split, count in (("train", 3), ("valid", 2), ("test", 1)):
            images[split] = rng.integers(0, 256, (count, *shape)).astype(kind)
            file.create_dataset(f"{split}/dt", data=images[split], compression="gzip")
            file.create_dataset(f"{split}/gt", data=np.array(texts[:count]))
    return images


def test_flor_files(tmp_path):
    path = tmp_path / "iam.hdf5"
    images = write_flor(path)
    data = DataConfig("hdf5", {"path": str(path)})
    train, valid = open_split(data, "train"), open_split(data, "validation")
    assert (train.name, train.split, valid.split) == ("hdf5 iam", "train", "valid")
    assert train.texts() == ["un", "été"] and train.report.counts() == {"empty transcript": 1}
    assert (train.image(1) == images["train"][1].T).all() and train.image_size(1) == (16, 48)
    assert valid.samples[1].id == "valid-000001" and (valid.image(1) == images["valid"][1].T).all()
    assert train.image_key(0) != train.image_key(1) != valid.image_key(1)
    rows = str(tmp_path / "rows.hdf5")
    images = write_flor(rows, (16, 48))
    plain = open_dataset("hdf5", path=rows, split="test")
    assert (plain.image(0) == images["test"][0]).all()
    tall = open_dataset("hdf5", path=rows, layout="flor", alphabet=Alphabet("un"))
    assert (tall.image(0) == images["train"][0].T).all() and len(tall) == 1


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_flors_layout_is_written_as_his_system_reads_it(tmp_path, compression):
    path = tmp_path / "flor.hdf5"
    box = PreprocessConfig(height=32, width=128)
    settings = PackSettings("scaled", box, layout="flor", compression=compression)
    train, valid = Made(count=9), Made("validation", 3)
    packed = pack(path, {"train": train, "validation": valid}, settings)
    assert packed.lines == {"train": 8, "validation": 3} and packed.skipped["train"] == 2
    with h5py.File(path) as file:
        # As it loads a partition.
        assert sorted(file) == ["train", "valid"]
        images, texts = np.array(file["train"]["dt"]), np.array(file["train"]["gt"])
        assert images.shape == (8, 128, 32) and images.dtype == np.uint8
        assert [text.decode() for text in texts] == [f"ligne été “{i}" for i in range(9) if i != 6]
        assert (images[1].T == settings.apply(pixels(1))).all()
    dataset = open_dataset("hdf5", path=path, split="validation")
    assert dataset.texts() == valid.texts() and dataset.image(2).shape == (32, 128)
    # It is replaced by this function, and by nothing else.
    pack(path, {"train": train}, settings)
    with pytest.raises(ConfigError, match="Flor's layout has boxes of one size"):
        PackSettings("scaled", PreprocessConfig(height=32), layout="flor")


def test_unusable_flor_files(tmp_path):
    path = str(tmp_path / "iam.hdf5")
    write_flor(path, kind=np.float32)
    with pytest.raises(DataError, match="train/dt is float32 of shape"):
        open_dataset("hdf5", path=path)
    write_flor(path, texts=(b"a", b"\xff", b"b"))
    with pytest.raises(DataError, match="train/gt, line 1: not UTF-8"):
        open_dataset("hdf5", path=path)
    with h5py.File(path, "r+") as file:
        del file["train/gt"]
        file["train/gt"] = [b"a"]
    with pytest.raises(DataError, match="holds 3 images and 1 texts"):
        open_dataset("hdf5", path=path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(DataError, match="with dt and gt; found: x"):
        open_dataset("hdf5", path=path)
