"""Settings that an exported ONNX file carries, read without any ONNX library."""

import io
import os
import zlib
from typing import Any, Union

from lm.base.errors import CheckpointError, DataError
from lm.base.files import check_regular, parse_json

from ..image.preprocess import stored_preprocess

__all__ = ["FORMAT", "FORMAT_KEY", "SETTINGS_KEY", "read_settings", "seal"]

FORMAT = "ocr-onnx-1"
#: Keys of the file's metadata_props. The checksum stands last and is of all that is before it.
FORMAT_KEY, SETTINGS_KEY, CHECKSUM_KEY = "ocr.format", "ocr.settings", "ocr.crc32"

#: Field of an ONNX ModelProto that holds its key-value pairs.
_METADATA_PROPS = 14
#: Protocol-buffer wire types.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_settings(path: Union[str, os.PathLike]) -> dict[str, Any]:
    """Read the settings of a model that ``ocr export`` wrote, and check that it is whole.

    Parameters
    ----------
    path : str

    Returns
    -------
    dict
        alphabet, preprocess, model, stride, frame_pixels, pipeline, ...

    Raises
    ------
    CheckpointError
        Missing, cut short, changed since it was written, or not written by ``ocr export``; the
        message names the file.
    """
    if not os.path.exists(path):
        raise CheckpointError(f"{path}: no such model")
    pairs, checksum = {}, None
    try:
        check_regular(path)
        with open(path, "rb") as source:
            size = os.path.getsize(path)
            for _, content, start in _fields(source, size, _METADATA_PROPS):
                key, value = _pair(content)
                if key == CHECKSUM_KEY:
                    checksum = value, start
                pairs[key] = value
            if checksum and checksum[0] != _checksum(source, checksum[1]):
                raise ValueError("changed since it was written: its checksum is wrong")
    except DataError as error:
        raise CheckpointError(str(error)) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    except (EOFError, ValueError) as error:
        raise CheckpointError(f"{path}: not an ONNX file, or cut short ({error})") from None
    # The metadata are not always a file's last part: a cut within the weights is found above.
    if pairs.get(FORMAT_KEY) != FORMAT or SETTINGS_KEY not in pairs:
        raise CheckpointError(f"{path}: not a model of this library's format {FORMAT}, or cut "
                              "short; ocr export writes such")
    settings = parse_json(pairs[SETTINGS_KEY], f"{path}: its settings", error=CheckpointError)
    if "preprocess" in settings:
        settings["preprocess"] = stored_preprocess(settings["preprocess"])
    return settings


def seal(path: Union[str, os.PathLike]) -> None:
    """Append to an ONNX file the checksum of all that it holds."""
    with open(path, "r+b") as file:
        value = _checksum(file, file.seek(0, os.SEEK_END))
        parts = b"".join(bytes([tag, len(text)]) + text.encode()
                         for tag, text in ((0x0A, CHECKSUM_KEY), (0x12, value)))
        file.write(bytes([_METADATA_PROPS << 3 | _BYTES, len(parts)]) + parts)


def _checksum(file, end):
    file.seek(0)
    crc = 0
    while end:
        block = file.read(min(end, 1 << 20))
        crc, end = zlib.crc32(block, crc), end - len(block)
    return f"{crc:08x}"


def _pair(content):
    found = {field: value.decode("utf-8") for field, value, _
             in _fields(io.BytesIO(content), len(content), 1, 2)}
    return found.get(1, ""), found.get(2, "")


def _fields(source, size, *wanted):
    """Yield (number, bytes, where it starts) of a message's fields `wanted`; others are skipped."""
    while (start := source.tell()) < size:
        tag = _varint(source)
        number, kind = tag >> 3, tag & 7
        if not number:
            raise ValueError("field number 0")
        if kind == _VARINT:
            _varint(source)
            continue
        if kind not in (_FIXED64, _BYTES, _FIXED32):
            raise ValueError(f"wire type {kind}")
        length = {_FIXED64: 8, _FIXED32: 4}.get(kind) or _varint(source)
        if source.tell() + length > size:
            raise EOFError(f"{length} bytes announced, {size - source.tell()} left")
        if kind == _BYTES and number in wanted:
            yield number, source.read(length), start
        else:
            source.seek(length, os.SEEK_CUR)


def _varint(source):
    value = 0
    for shift in range(0, 70, 7):
        byte = source.read(1)
        if not byte:
            raise EOFError("it ends within a number")
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("a number of more than 10 bytes")
