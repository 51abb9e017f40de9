import os

import pytest

from lm.base.errors import AlphabetError, ConfigError, DataError, MissingDataError
from lm.base.files import (
    check_regular,
    check_writable,
    parse_json,
    read_json,
    read_text,
    write_text,
)


@pytest.mark.parametrize("text, message", [
    ('{"a": 1', "not JSON, or cut short"),
    ("[" * 200_000, "nested too deeply|not JSON"),
    ('{"a": ' + "9" * 6000 + "}", "a number of 6000 digits"),
    ('{"a": NaN}', "the number NaN"),
    ('{"a": -Infinity}', "the number -Infinity"),
    ('{"a": 1e999}', "the number 1e999"),
    ('{"a": 1, "a": 2}', "the key 'a' twice"),
    ("[]", r"expected an object of JSON, not \[\]"),
    ("5", "expected an object of JSON, not 5"),
])
def test_json_that_is_not_what_it_should_be(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_json(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_json_that_is():
    assert parse_json('{"a": [1, 2.5, null]}', "here") == {"a": [1, 2.5, None]}
    assert parse_json(b"[1]", "here", list) == [1]
    with pytest.raises(AlphabetError, match="here: expected a list"):
        parse_json("{}", "here", list, AlphabetError)


def test_what_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path, "x" * 5000, "a\0b"):
        with pytest.raises(DataError, match="cannot be read"):
            read_text(path)
    (tmp_path / "bad.txt").write_bytes(b"ok\n\xe9")
    with pytest.raises(DataError, match="bad.txt, line 2: not UTF-8"):
        read_text(tmp_path / "bad.txt")
    with pytest.raises(MissingDataError, match="none.txt: no such file"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(KeyError, match="mine"):
        read_text(tmp_path / "none.txt", KeyError("mine"))


def test_a_file_that_cannot_be_written_is_called_by_its_own_name(tmp_path):
    for path in (tmp_path, tmp_path / ("x" * 250)):
        with pytest.raises(OSError) as caught:
            write_text(path, "x")
        assert caught.value.filename == str(path) and os.listdir(tmp_path) == []


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for path, message in ((tmp_path, "a folder; name a file"),
                          (tmp_path / "file" / "x.json", "cannot be written"),
                          (tmp_path / ("x" * 300), "cannot be written")):
        with pytest.raises(ConfigError, match=message):
            check_writable(path)
    check_writable(tmp_path / "new" / "x.json")
    check_writable(tmp_path / "file")
    assert os.listdir(tmp_path) == ["file"]


def test_a_pipe_and_a_device_are_refused_before_they_are_opened(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        for read in (check_regular, read_text):
            with pytest.raises(DataError, match=f"{path}: is a pipe or a device"):
                read(path)
    check_regular(tmp_path)
    check_regular(tmp_path / "not there")


def test_what_a_killed_process_left_is_removed_once_it_is_old(tmp_path):
    left = {name: tmp_path / name for name in (".a.txt.abcd1234.tmp", ".a.txt.fresh_12.tmp",
                                               ".b.txt.abcd1234.tmp", ".a.txt.tmp", ".a.txt.x.tmp")}
    for name, path in left.items():
        path.write_text("half")
        if "fresh" not in name:
            os.utime(path, (0, 0))
    for _ in range(2):
        write_text(tmp_path / "a.txt", "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        {*left, "a.txt"} - {".a.txt.abcd1234.tmp"})
