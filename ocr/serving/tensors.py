"""TensorFlow Serving's REST format: requests to arrays, arrays to answers."""

import base64
import binascii
import json
from dataclasses import dataclass

import numpy as np

from ..text.ctc import log_softmax
from .config import SIGNATURES
from .errors import BadRequest, TooLarge

__all__ = ["PredictRequest", "parse_json", "parse_predict", "line_tensors",
           "grey_images", "image_bytes", "softmax", "predictions", "metadata", "to_json", "shown"]

_KEYS = ("signature_name", "instances", "inputs")


@dataclass(frozen=True)
class PredictRequest:
    """Body of ``:predict``.

    Attributes
    ----------
    signature : str
        One of `SIGNATURES`.
    rows : bool
        Whether it came as ``instances``, and is to be answered so.
    values : list
        One for each line.
    """

    signature: str
    rows: bool
    values: list


def parse_json(body):
    """Parse a body as strict JSON (no NaN); `BadRequest` says where it is wrong."""
    def refuse(name):
        raise ValueError(f"{name} is no JSON number")

    try:
        return json.loads(body.decode("utf-8"), parse_constant=refuse)
    except RecursionError:
        raise BadRequest("JSON Parse error: nested too deeply") from None
    except ValueError as error:
        raise BadRequest(f"JSON Parse error: {error}") from None


def parse_predict(body, default="serving_default"):
    """Parse the body of ``:predict``.

    Parameters
    ----------
    body : bytes
    default : str
        Signature of a request that names none.

    Returns
    -------
    PredictRequest

    Raises
    ------
    BadRequest
        Not JSON, not an object, an unknown key or signature, not exactly one of ``instances``
        and ``inputs``, or nothing in it.
    """
    value = parse_json(body)
    if not isinstance(value, dict):
        raise BadRequest("the request is no JSON object")
    for key in value:
        if key not in _KEYS:
            raise BadRequest(f"unknown key {shown(key)}; known: {', '.join(_KEYS)}")
    signature = value.get("signature_name", "")
    if not isinstance(signature, str):
        raise BadRequest("'signature_name' is no string")
    signature = signature or default
    if signature not in SIGNATURES:
        raise BadRequest(f"Serving signature name: {shown(signature)} not found in signature "
                         f"def; known: {', '.join(SIGNATURES)}")
    if ("instances" in value) == ("inputs" in value):
        raise BadRequest("exactly one of 'instances' and 'inputs' is expected, not "
                         + ("both" if "inputs" in value else "neither"))
    name = SIGNATURES[signature]
    if "instances" in value:
        rows = value["instances"]
        if not isinstance(rows, list) or not rows:
            raise BadRequest("'instances' must be a list, and not empty")
        return PredictRequest(signature, True,
                              [_named(row, name, f"instances[{i}]")
                               for i, row in enumerate(rows)])
    columns = _named(value["inputs"], name, "inputs")
    if not isinstance(columns, list):
        # One value where the batch is meant to be: as TensorFlow Serving does for b64.
        columns = [columns]
    if not columns:
        raise BadRequest("'inputs' is empty")
    return PredictRequest(signature, False, columns)


def _named(value, name, where):
    """Take {name: value} apart; a value alone stands for the only input."""
    if not isinstance(value, dict) or set(value) == {"b64"}:
        return value
    if set(value) != {name}:
        raise BadRequest(f"{where}: expected the input {name!r}, not "
                         f"{shown(', '.join(sorted(value)))}")
    return value[name]


def line_tensors(values, height, max_width, width=None):
    """Check the input of ``serving_default``: lines as the network sees them.

    Parameters
    ----------
    values : list
        Nested lists of numbers: (1, height, W), (height, W) or (height, W, 1).
    height, max_width : int
    width : int or None
        For networks that read one width alone.

    Returns
    -------
    list of numpy.ndarray
        float32, (height, W).

    Raises
    ------
    BadRequest
        Another shape, or something that is no finite number.
    TooLarge
        Wider than `max_width`.
    """
    arrays = []
    for where, array in _planes(values):
        if array.ndim != 2 or array.shape[0] != height or not array.shape[1] \
                or (width or array.shape[1]) != array.shape[1]:
            raise BadRequest(f"{where}: expected shape (1, {height}, {width or 'W'}), not "
                             f"{tuple(np.shape(array))}")
        if array.shape[1] > max_width:
            raise TooLarge(f"{where}: {array.shape[1]} columns are more than the {max_width} "
                           "this model reads")
        arrays.append(np.ascontiguousarray(array))
    return arrays


def grey_images(values, max_pixels):
    """Check the input of ``softmax``: grey images of lines, 0 for black to 1 for white.

    Parameters
    ----------
    values : list
        Nested lists of numbers: (H, W), (H, W, 1) or (1, H, W); ink and paper as in the image
        files that the model was trained on.
    max_pixels : int

    Returns
    -------
    list of numpy.ndarray
        uint8, (H, W).

    Raises
    ------
    BadRequest
        Another shape, or numbers beyond 0 and 1.
    TooLarge
    """
    images = []
    for where, array in _planes(values):
        if array.ndim != 2 or array.size < 2:
            raise BadRequest(f"{where}: expected shape (height, width), not "
                             f"{tuple(np.shape(array))}")
        if array.size > max_pixels:
            raise TooLarge(f"{where}: {array.size} pixels are more than the {max_pixels} allowed")
        if array.min() < 0 or array.max() > 1:
            raise BadRequest(f"{where}: expected greys from 0 (black) to 1 (white), found "
                             f"{array.min():g} to {array.max():g}")
        images.append(np.round(array * 255).astype(np.uint8))
    return images


def _planes(values):
    """Yield (where, float32 array without a channel of one) of each line."""
    for index, value in enumerate(values):
        where = f"line {index}"
        array = _numbers(value, where)
        if array.ndim == 3 and array.shape[0] == 1:
            array = array[0]
        elif array.ndim == 3 and array.shape[2] == 1:
            array = array[..., 0]
        yield where, array


def _numbers(value, where):
    if not isinstance(value, list):
        raise BadRequest(f"{where}: expected nested lists of numbers, not {shown(value)}")
    try:
        array = np.array(value)
    except (ValueError, OverflowError, RecursionError):
        array = np.array(None)
    if array.dtype.kind not in "iuf":
        raise BadRequest(f"{where}: expected numbers, in lists of equal lengths")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise BadRequest(f"{where}: a number is beyond what float32 holds")
    return array


def image_bytes(value):
    """Return the image file of ``{"b64": ...}``, the input of ``text``.

    Raises
    ------
    BadRequest
        Anything else, or broken base64.
    """
    if not isinstance(value, dict) or set(value) != {"b64"} or not isinstance(value["b64"], str):
        raise BadRequest('expected {"b64": "..."} with an image file')
    try:
        return base64.b64decode(value["b64"].encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadRequest(f"not base64 ({error})") from None


def softmax(logits):
    """Return the probabilities of logits (frames, classes)."""
    return np.exp(log_softmax(logits))


def predictions(request, outputs):
    """Return the answer to a `PredictRequest`.

    Parameters
    ----------
    request : PredictRequest
    outputs : dict of str to list
        Named outputs, one value for each line. A single one goes without its name. Logits are
        rounded to 6 decimals, probabilities to 9: their logarithm is taken.

    Raises
    ------
    BadRequest
        An output is not finite: the input was out of all proportion.
    """
    decimals = 9 if request.signature == "softmax" else 6
    outputs = {name: [_plain(value, decimals) for value in values]
               for name, values in outputs.items()}
    if request.rows:
        if len(outputs) == 1:
            return {"predictions": next(iter(outputs.values()))}
        return {"predictions": [dict(zip(outputs, row)) for row in zip(*outputs.values())]}
    return {"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}


def _plain(value, decimals):
    if not isinstance(value, np.ndarray):
        return value
    if not np.isfinite(value).all():
        raise BadRequest("the network's answer to these numbers is not finite")
    return value.astype(np.float64).round(decimals).tolist()


def metadata(name, version, height, width, classes):
    """Return the answer of ``/metadata``.

    Parameters
    ----------
    name : str
    version : int
    height : int
    width : int or None
        None for networks that read any width.
    classes : int
    """
    width = -1 if width is None else width
    return {"model_spec": {"name": name, "signature_name": "", "version": str(version)},
            "metadata": {"signature_def": {"signature_def": {
                "serving_default": _signature(
                    {"images": ("DT_FLOAT", (-1, 1, height, width))},
                    {"logits": ("DT_FLOAT", (-1, -1, classes))}),
                "softmax": _signature(
                    {"images": ("DT_FLOAT", (-1, -1, -1))},
                    {"probabilities": ("DT_FLOAT", (-1, -1, classes))}),
                "text": _signature(
                    {"image": ("DT_STRING", (-1,))},
                    {"text": ("DT_STRING", (-1,)), "confidence": ("DT_FLOAT", (-1,))}),
            }}}}


def _signature(inputs, outputs):
    def tensors(items):
        return {name: {"dtype": kind, "name": f"{name}:0", "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in shape], "unknown_rank": False}}
            for name, (kind, shape) in items.items()}

    return {"inputs": tensors(inputs), "outputs": tensors(outputs),
            "method_name": "tensorflow/serving/predict"}


def to_json(value):
    """Return `value` as JSON in UTF-8; characters that UTF-8 cannot hold are escaped."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode(
        "utf-8", "backslashreplace")


def shown(value, most=60):
    """Return what a client sent, fit for one line of a message."""
    text = ascii(value)
    return text if len(text) <= most else text[:most] + "..."
