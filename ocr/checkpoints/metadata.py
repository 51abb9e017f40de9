"""Settings that an exported ONNX file carries, read without any ONNX library."""

import os

from lm.base.errors import CheckpointError
from lm.base.files import parse_json

from ..image.preprocess import stored_preprocess

__all__ = ["FORMAT", "FORMAT_KEY", "SETTINGS_KEY", "read_settings"]

FORMAT = "ocr-onnx-1"
#: Keys of the file's metadata_props.
FORMAT_KEY, SETTINGS_KEY = "ocr.format", "ocr.settings"

#: Field of an ONNX ModelProto that holds its key-value pairs.
_METADATA_PROPS = 14
#: Protocol-buffer wire types.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_settings(path):
    """Read the settings of a model that ``ocr export`` wrote.

    The weights are skipped, so that this is quick whatever the file's size.

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
        Missing, cut short, or not written by ``ocr export``; the message names the file.
    """
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such model")
    pairs = {}
    try:
        with open(path, "rb") as source:
            for field, content in _fields(source, os.path.getsize(path), _METADATA_PROPS):
                if field == _METADATA_PROPS:
                    key, value = _pair(content)
                    pairs[key] = value
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


def _pair(content):
    import io

    found = {field: value.decode("utf-8") for field, value
             in _fields(io.BytesIO(content), len(content), 1, 2)}
    return found.get(1, ""), found.get(2, "")


def _fields(source, size, *wanted):
    """Yield (number, bytes) of a message's length-delimited fields; others are skipped."""
    while source.tell() < size:
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
            yield number, source.read(length)
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
