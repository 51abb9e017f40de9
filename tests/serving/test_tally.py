"""The number that outlives a kill."""

import pytest

from lm.base.errors import ConfigError
from ocr.serving.tally import Tally


def test_what_was_left_is_found_once(tmp_path):
    path = str(tmp_path / "state")
    first = Tally(path)
    assert first.lost == 0
    first.set(7)
    # No close: as after a kill.
    second = Tally(path)
    assert second.lost == 7
    assert Tally(path).lost == 0
    second.set(3)
    second.close()
    assert Tally(path).lost == 0


def test_other_files_are_left_alone(tmp_path):
    for content in (b"something else", b"x" * 16):
        path = tmp_path / "notes"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not a state file"):
            Tally(str(path))
        assert path.read_bytes() == content
    with pytest.raises(ConfigError, match="cannot be written"):
        Tally(str(tmp_path / "none" / "state"))


def test_without_a_file_nothing_is_kept():
    tally = Tally(None)
    tally.set(5)
    tally.close()
    assert tally.lost == 0
