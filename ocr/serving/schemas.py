"""The shapes of answers, for the OpenAPI document; requests stand beside their routes."""

from typing import Any, Optional, Union

from pydantic import BaseModel, Field, RootModel
from starlette.responses import JSONResponse

from .export import TYPES
from .tensors import to_json

__all__ = ["Error", "Models", "ModelStatus", "ModelMetadata", "AnyPredictions", "Recognition",
           "Job", "JobList", "JobResult", "News", "Health", "Info", "PREDICT_BODY", "FILES_BODY",
           "EXPORT_BODY", "EXPORT_ANSWER", "FILE_CONTENT", "COMMON", "responses", "json_response",
           "note"]


class json_response(JSONResponse):
    """JSON in UTF-8, whatever characters were read."""

    def render(self, content):
        return to_json(content)


def note(request, model, version, lines):
    """Have what was read logged with the request."""
    request.scope["ocr"].update(model=f"{model.name}/{version.number}", lines=lines)


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


class ServedModel(ModelStatus):
    name: str
    default: bool = Field(description="Whether it reads where no model is named")


class Models(BaseModel):
    """All models of the service."""

    models: list[ServedModel]


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
    error: str = Field("", description="Why this image was not read, where another was")


class Predictions(BaseModel):
    """Answer to `instances`: one entry each, logits (frames, classes) or text."""

    predictions: list[Union[TextPrediction, list[list[float]]]]


class TextOutputs(BaseModel):
    text: list[str]
    confidence: list[float]
    error: list[str] = []


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
    max_job_bytes: int
    max_pixels: int
    max_files: int
    formats: list[str]
    exports: list[str]


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
    low_confidence: bool
    box: list[float]
    polygon: list[list[float]]
    baseline: list[list[float]]
    characters: list[Piece]
    words: list[Piece]
    alternatives: list[Alternative]


class Page(BaseModel):
    image: str = Field(description="The file's name")
    page: Optional[int] = Field(description="Of a file with several, from 1")
    width: int
    height: int
    text: str
    lines: list[Line]


class Unread(BaseModel):
    """A page that could not be read, where others could."""

    image: str
    page: Optional[int]
    error: str


class Recognition(BaseModel):
    """Readings of the pages, in the order they were sent."""

    model: str
    version: int
    images: list[Union[Page, Unread]]


class Job(BaseModel):
    """Files that are read in the background."""

    id: str
    state: str = Field(description="queued, reading, done or cancelled")
    files: list[str]
    pages: Optional[int] = Field(description="Known once the files have been opened")
    lines: int = Field(description="Found so far")
    lines_read: int


class JobList(BaseModel):
    jobs: list[Job]


class JobResult(Job):
    """A job, and its pages as far as they have been read."""

    images: list[Union[Page, Unread, dict[str, Any]]]


class News(Job):
    """What happened in a job: pages opened (with the outlines of their `lines`), lines read
    (`line`, `reading`), pages that cannot be read (`error`); `at` is a page's place in the job.
    """

    events: list[dict[str, Any]]
    next: int = Field(description="`after` of the next question")


#: What any request may be answered besides its own errors.
COMMON = {code: {"model": Error, "description": text} for code, text in (
    (400, "The request cannot be understood"), (401, "An API key is needed"),
    (404, "No such model, version or job"), (408, "The body did not arrive in time"),
    (413, "More bytes, pixels, files, pages or lines than are allowed"),
    (429, "The queue is full, or the key's rate is used up; Retry-After says when to come back"),
    (500, "A fault of the service"), (503, "The model is not loaded, or the service stops"),
    (504, "Not done in time; the work was dropped"))}


def responses(model, *codes):
    """Return the `responses` of a route that answers with `model`."""
    return {200: {"model": model}, **{code: COMMON[code] for code in (401, *codes, 500)}}


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


_GREY = {"description": "One line, dark ink on light paper (as the model's images are): (H, W) or "
                        "(H, W, 1), 0 for black to 1 for white", "anyOf": _LINE["anyOf"]}

#: Body of ``:predict``.
PREDICT_BODY = {"required": True, "content": {"application/json": {
    "schema": {"oneOf": [*_body(["serving_default"], "images", _LINE, []),
                         *_body(["softmax"], "images", _GREY, ["signature_name"]),
                         *_body(["text"], "image", _IMAGE, ["signature_name"])]},
    "examples": {"text": {"value": {"signature_name": "text",
                                    "instances": [{"b64": "iVBORw0KGgo..."}]}}}}}}

_FILES = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}

#: Body of ``/recognition`` and ``/jobs``.
FILES_BODY = {"required": True, "content": {
    "multipart/form-data": {"schema": {
        "type": "object", "required": ["files"], "additionalProperties": False,
        "properties": {"files": _FILES}}},
    **{kind: {"schema": {"type": "string", "format": "binary"}}
       for kind in ("image/*", "application/pdf", "application/octet-stream")}}}

#: Body of ``/export``.
EXPORT_BODY = {"required": True, "content": {"multipart/form-data": {"schema": {
    "type": "object", "required": ["pages"], "additionalProperties": False, "properties": {
        "pages": {"type": "string", "description": "JSON: a page as /recognition answers it, or "
                                                   "a list, the texts as they are to be"},
        "files": _FILES}}}}}
FILE_CONTENT = {kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
                for kind in TYPES.values() if kind != "application/json"}
EXPORT_ANSWER = {"content": FILE_CONTENT, "description": "The file"}
