import os

import pytest

from lm.base.errors import DataError, MissingDataError
from lm.base.files import check_regular, read_text


def test_a_pipe_and_a_device_are_refused_before_they_are_opened(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        for read in (check_regular, lambda p: read_text(p, MissingDataError("no"))):
            with pytest.raises(DataError, match=f"{path}: is a pipe or a device"):
                read(path)
    check_regular(tmp_path)
    check_regular(tmp_path / "not there")
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path, MissingDataError("no"))
