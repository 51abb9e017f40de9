"""The shapes of answers, for the OpenAPI document; requests stand beside their routes."""

from typing import Any, Optional, Union

from pydantic import BaseModel, Field, RootModel

__all__ = ["Error", "ModelStatus", "ModelMetadata", "AnyPredictions", "Recognition",
           "Health", "Info", "PREDICT_BODY", "RECOGNITION_BODY"]


class Error(BaseModel):
    """What went wrong, in one line."""

    error: str


class StatusCode(BaseModel):
    error_code: str
    error_message: str


class VersionStatus(BaseModel):
    version: str
    state: str = Field(description="LOADING, AVAILABLE, UNLOADING or END")
    status: StatusCode


class ModelStatus(BaseModel):
    """Versions of a model, as TensorFlow Serving lists them."""

    model_version_status: list[VersionStatus]


class ModelSpec(BaseModel):
    name: str
    signature_name: str
    version: str


class ModelMetadata(BaseModel):
    """Inputs and outputs of a model, as TensorFlow Serving describes them."""

    model_spec: ModelSpec
    metadata: dict[str, Any]


class TextPrediction(BaseModel):
    text: str
    confidence: float


class Predictions(BaseModel):
    """Answer to `instances`: one entry each, logits (frames, classes) or text."""

    predictions: list[Union[TextPrediction, list[list[float]]]]


class TextOutputs(BaseModel):
    text: list[str]
    confidence: list[float]


class Outputs(BaseModel):
    """Answer to `inputs`: logits (lines, frames, classes), or text."""

    outputs: Union[TextOutputs, list[list[list[float]]]]


class AnyPredictions(RootModel[Union[Predictions, Outputs]]):
    """`predictions` for `instances`, `outputs` for `inputs`."""


class Health(BaseModel):
    status: str


class ModelInfo(BaseModel):
    name: str
    version: Optional[int]
    failed: dict[str, str] = Field(description="Versions that cannot be loaded, and why")


class Info(BaseModel):
    """What the page needs to know."""

    models: list[ModelInfo]
    finds_lines: bool
    max_bytes: int
    max_pixels: int
    max_files: int
    formats: list[str]


class Piece(BaseModel):
    """A character or a word."""

    text: str
    confidence: float
    box: list[float] = Field(description="left, top, right, bottom")
    polygon: list[list[float]]


class Alternative(BaseModel):
    text: str
    confidence: float


class Line(BaseModel):
    """A line; lengths are pixels of the image."""

    text: str
    confidence: float
    certainty: float = Field(description="How sure the network is of its characters, 0 to 1")
    low_confidence: bool
    box: list[float]
    polygon: list[list[float]]
    baseline: list[list[float]]
    characters: list[Piece]
    words: list[Piece]
    alternatives: list[Alternative]


class Page(BaseModel):
    image: str = Field(description="The file's name")
    width: int
    height: int
    text: str
    lines: list[Line]


class Recognition(BaseModel):
    """Readings of the images, in the order they were sent."""

    model: str
    version: int
    images: list[Page]


_IMAGE = {"type": "object", "required": ["b64"], "additionalProperties": False,
          "properties": {"b64": {"type": "string", "format": "byte",
                                 "description": "An image file of one line, in base64"}}}
_ROW = {"type": "array", "minItems": 1, "items": {"type": "number"}}
_COLUMNS = {"type": "array", "minItems": 1, "items": _ROW}
_LINE = {"description": "One line as the network sees it, float32: (height, W), (1, height, W) "
                        "or (height, W, 1); see the model's metadata",
         "anyOf": [_COLUMNS, {"type": "array", "minItems": 1, "items": _COLUMNS}]}


def _named(name, schema):
    return {"type": "object", "required": [name], "additionalProperties": False,
            "properties": {name: schema}}


def _body(signature, name, one, required):
    many = {"type": "array", "minItems": 1, "items": one}
    return [
        {"title": f"{title}, in {key}", "type": "object", "additionalProperties": False,
         "required": [key, *required],
         "properties": {"signature_name": {"type": "string", "enum": signature}, key: values}}
        for title in (signature[0],)
        for key, values in (
            ("instances", {"type": "array", "minItems": 1,
                           "items": {"anyOf": [one, _named(name, one)]}}),
            ("inputs", {"anyOf": [many, _named(name, many)]}))]


#: Body of ``:predict``.
PREDICT_BODY = {"required": True, "content": {"application/json": {
    "schema": {"oneOf": [*_body(["serving_default"], "images", _LINE, []),
                         *_body(["text"], "image", _IMAGE, ["signature_name"])]},
    "examples": {"text": {"value": {"signature_name": "text",
                                    "instances": [{"b64": "iVBORw0KGgo..."}]}}}}}}

#: Body of ``/recognition``.
RECOGNITION_BODY = {"required": True, "content": {"multipart/form-data": {"schema": {
    "type": "object", "required": ["files"], "additionalProperties": False, "properties": {
        "files": {"type": "array", "minItems": 1,
                  "items": {"type": "string", "format": "binary"}}}}}}}
