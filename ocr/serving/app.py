"""The service's addresses (FastAPI)."""

import asyncio
import hashlib
import logging
import os
from contextlib import asynccontextmanager
from typing import Literal, Optional

from lm.base.errors import OCRError
from lm.base.version import __version__

from ..formats import reading_to_dict
from . import schemas, tensors
from .errors import BadRequest, Disconnected, NotFound, TooLarge, TooSlow
from .gate import Gate
from .images import FORMATS

__all__ = ["create_app", "MOST_ALTERNATIVES"]

log = logging.getLogger("ocr.serving")

MOST_ALTERNATIVES = 10

_STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
          ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
#: What any request may be answered besides its own errors.
_COMMON = {code: {"model": schemas.Error, "description": text} for code, text in (
    (400, "The request cannot be understood"), (404, "No such model or version"),
    (408, "The body did not arrive in time"),
    (413, "More bytes, pixels, files or lines than are allowed"),
    (429, "The queue is full; Retry-After says when to come back"),
    (500, "A fault of the service"), (503, "The model is not loaded, or the service stops"),
    (504, "Not done in time; the work was dropped"))}


def create_app(service):
    """Build the application.

    Parameters
    ----------
    service : Service
        Its models are loaded.

    Returns
    -------
    ASGI application
    """
    from fastapi import FastAPI, Path, Query, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.middleware.cors import CORSMiddleware
    from starlette.exceptions import HTTPException
    from starlette.formparsers import MultiPartException
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response

    config = service.config

    @asynccontextmanager
    async def lifespan(app):
        await service.started()
        yield

    # The usual /docs page loads scripts from elsewhere, which the CSP forbids.
    app = FastAPI(title="ocr serve", version=__version__, lifespan=lifespan, docs_url=None,
                  redoc_url=None, redirect_slashes=False,
                  description="Reads lines and pages of handwriting and print. Models are "
                              "addressed as in TensorFlow Serving.")

    def failed(request, status, message, headers=None, kind="HTTPException"):
        service.metrics.errors.labels(kind).inc()
        if status >= 500:
            log.warning("%s: %d %s", request.scope["ocr"]["id"], status, ascii(message)[1:-1])
        return Response(tensors.to_json({"error": message}), status, headers,
                        "application/json")

    @app.exception_handler(OCRError)
    async def ours(request, error):
        # Other errors of the library are about the data it was given.
        status = getattr(error, "status", 400)
        if isinstance(error, Disconnected):
            request.scope["ocr"]["status"] = status
        return failed(request, status, str(error), getattr(error, "headers", None),
                      type(error).__name__)

    @app.exception_handler(ClientDisconnect)
    async def gone(request, error):
        request.scope["ocr"]["status"] = Disconnected.status
        return failed(request, 400, "the client went away", kind="Disconnected")

    @app.exception_handler(HTTPException)
    async def of_http(request, error):
        message = error.detail
        if error.status_code == 404:
            message = f"Malformed request: {request.method} {request.url.path}"
        return failed(request, error.status_code, str(message), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request, error):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first.get("loc", ()))
        return failed(request, 400, f"{where}: {first.get('msg', 'not valid')}",
                      kind="BadRequest")

    @app.exception_handler(Exception)
    async def fault(request, error):
        return failed(request, 500, "a fault of the service; its log says more", kind="fault")

    def json_response(value):
        return Response(tensors.to_json(value), media_type="application/json")

    # -- TensorFlow Serving -------------------------------------------------------------------

    Number = Path(ge=0, lt=2**63, description="Version")

    async def read_body(request):
        return await _in_time(request.body(), config.upload_timeout)

    def responses(model, *codes):
        return {200: {"model": model}, **{code: _COMMON[code] for code in (*codes, 500)}}

    predict_options = {
        "openapi_extra": {"requestBody": schemas.PREDICT_BODY}, "tags": ["TensorFlow Serving"],
        "responses": {200: {"model": schemas.AnyPredictions}, **_COMMON}}

    @app.post("/v1/models/{name}:predict", summary="Read with the newest version",
              **predict_options)
    async def predict_latest(request: Request, name: str):
        return await predict(request, name, None)

    @app.post("/v1/models/{name}/versions/{version}:predict", summary="Read with one version",
              **predict_options)
    async def predict_version(request: Request, name: str, version: int = Number):
        return await predict(request, name, version)

    @app.get("/v1/models/{name}/versions/{version}:predict", include_in_schema=False)
    @app.get("/v1/models/{name}:predict", include_in_schema=False)
    async def no_get():
        raise HTTPException(405, headers={"Allow": "POST"})

    async def predict(request, name, number):
        model, version = service.acquire(name, number)
        try:
            return await service.until_cut(predict_with(request, model, version))
        finally:
            model.release(version)

    async def predict_with(request, model, version):
        body = await read_body(request)

        async def work():
            wanted = await service.in_thread(tensors.parse_predict, body)
            service.check_count(len(wanted.values))
            network = version.model
            if wanted.signature == "text":
                files = await service.in_thread(tensors.image_bytes, wanted.values)
                pages = await service.read_images(
                    model, version, [(f"line {i}", data) for i, data in enumerate(files)], "one")
                read = [page.lines[0] if page.lines else None for page in pages]
                outputs = {"text": [line.text if line else "" for line in read],
                           "confidence": [round(line.confidence, 6) if line else 0.0
                                          for line in read]}
            else:
                arrays = await service.in_thread(tensors.line_tensors, wanted.values,
                                                 network.height, network.max_width,
                                                 network.width)
                outputs = {"logits": await service.read_lines(model, version, arrays)}
            _note(request, model, version, len(wanted.values))
            return await service.in_thread(
                lambda: tensors.to_json(tensors.predictions(wanted, outputs)))

        answer = await service.while_wanted(work(), request.receive)
        return Response(answer, media_type="application/json")

    @app.get("/v1/models/{name}/metadata", summary="Inputs and outputs",
             tags=["TensorFlow Serving"], responses=responses(schemas.ModelMetadata, 404, 503))
    async def metadata(name: str):
        return describe(name, None)

    @app.get("/v1/models/{name}/versions/{version}/metadata", tags=["TensorFlow Serving"],
             summary="Inputs and outputs of one version",
             responses=responses(schemas.ModelMetadata, 400, 404, 503))
    async def metadata_version(name: str, version: int = Number):
        return describe(name, version)

    def describe(name, number):
        model, version = service.acquire(name, number)
        try:
            network = version.model
            return json_response(tensors.metadata(name, version.number, network.height,
                                                  network.width, network.classes))
        finally:
            model.release(version)

    @app.get("/v1/models/{name}/versions/{version}", summary="State of one version",
             tags=["TensorFlow Serving"], responses=responses(schemas.ModelStatus, 400, 404))
    async def status_version(name: str, version: int = Number):
        return state_of(name, version)

    @app.get("/v1/models/{name}", summary="State of a model's versions",
             tags=["TensorFlow Serving"], responses=responses(schemas.ModelStatus, 404))
    async def status(name: str):
        return state_of(name, None)

    def state_of(name, number):
        model = service.store.get(name)
        found = [v for v in (model.versions() if model else ()) if number in (None, v.number)]
        if not found:
            what = "any versions" if number is None else f"version {number}"
            raise NotFound(f"Could not find {what} of model {name}")
        return json_response({"model_version_status": [
            {"version": str(v.number), "state": v.state, "status": {
                "error_code": "UNKNOWN" if v.error else "OK", "error_message": v.error}}
            for v in found]})

    # -- images -------------------------------------------------------------------------------

    @app.post("/recognition", summary="Read images", tags=["Images"],
              openapi_extra={"requestBody": schemas.RECOGNITION_BODY},
              responses={200: {"model": schemas.Recognition,
                               "content": {"application/xml": {"schema": {"type": "string"}}},
                               "description": "Readings; XML when `format` asks for it"},
                         **_COMMON})
    async def recognition(
            request: Request,
            lines: Literal["auto", "one", "find"] = Query(
                "auto", description="one: each image is a line; find: it is a page, whose lines "
                                    "are found; auto: as the image looks"),
            alternatives: int = Query(0, ge=0, le=MOST_ALTERNATIVES,
                                      description="Other readings of each line, at most"),
            format: Literal["json", "alto", "page"] = Query(
                "json", description="alto, page: XML, of one image"),
            model: Optional[str] = Query(None, description="The first one by default"),
            version: Optional[int] = Query(None, ge=0, lt=2**63)):
        served, one = service.acquire(model, version)
        try:
            return await service.until_cut(
                recognise(request, served, one, lines, alternatives, format))
        finally:
            served.release(one)

    async def recognise(request, model, version, lines, alternatives, format):
        files = await read_files(request)
        if format != "json" and len(files) != 1:
            raise BadRequest(f"format {format} is written for one image, not {len(files)}")

        async def work():
            pages = await service.read_images(model, version, files, lines, alternatives)
            _note(request, model, version, sum(len(page.lines) for page in pages))
            names = [name for name, _ in files]
            if format == "json":
                return await service.in_thread(lambda: tensors.to_json(
                    {"model": model.name, "version": version.number,
                     "images": [reading_to_dict(page, name)
                                for page, name in zip(pages, names)]}))
            return await service.in_thread(version.model.xml, pages[0], names[0], format)

        answer = await service.while_wanted(work(), request.receive)
        return Response(answer, media_type="application/json" if format == "json"
                        else "application/xml")

    async def read_files(request):
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "multipart/form-data":
            raise BadRequest("expected multipart/form-data with the field 'files'")
        try:
            form = await _in_time(request.form(max_files=config.max_files + 1, max_fields=8),
                                  config.upload_timeout)
        except (MultiPartException, HTTPException) as error:
            message = getattr(error, "message", None) or getattr(error, "detail", "")
            if "Too many files" in message:
                raise TooLarge(f"more than the {config.max_files} files allowed") from None
            raise BadRequest(f"not a multipart form: {message}") from None
        except (UnicodeError, ValueError, KeyError, AssertionError) as error:
            raise BadRequest(f"not a multipart form ({type(error).__name__})") from None
        try:
            for key in form:
                if key != "files":
                    raise BadRequest(f"unknown field {tensors.shown(key)}; known: files")
            files = form.getlist("files")
            if not files or any(isinstance(file, str) for file in files):
                raise BadRequest("the field 'files' holds no file" if not files else
                                 "the field 'files' must hold files, with a filename each")
            if len(files) > config.max_files:
                raise TooLarge(f"{len(files)} files are more than the {config.max_files} "
                               "allowed")
            return [(tensors.shown(os.path.basename(file.filename or "") or f"file {i}")[1:-1],
                     await file.read()) for i, file in enumerate(files)]
        finally:
            await form.close()

    # -- state --------------------------------------------------------------------------------

    @app.get("/healthz", summary="Whether the process lives", tags=["State"],
             responses=responses(schemas.Health))
    async def healthz():
        return json_response({"status": "ok"})

    @app.get("/readyz", summary="Whether requests are taken", tags=["State"],
             responses={**responses(schemas.Health),
                        503: {"model": schemas.Health, "description": "Not (any more)"}})
    async def readyz():
        ready = not service.stopping and all(model.current for model in service.store)
        response = json_response({"status": "ready" if ready else "not ready"})
        response.status_code = 200 if ready else 503
        return response

    @app.get("/info", summary="Models and limits", tags=["State"],
             responses=responses(schemas.Info))
    async def info():
        from ..layout import can_find_lines

        return json_response({
            "models": [{"name": m.name, "version": m.current.number if m.current else None,
                        "failed": {str(v.number): v.error for v in m.versions() if v.error}}
                       for m in service.store],
            "finds_lines": can_find_lines(), "max_bytes": config.max_bytes,
            "max_pixels": config.max_pixels, "max_files": config.max_files,
            "formats": list(FORMATS)})

    @app.get("/metrics", summary="Figures for Prometheus", tags=["State"],
             responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
             response_class=Response)
    async def metrics():
        body, kind = await service.in_thread(service.metrics.exposition)
        return Response(body, headers={"Content-Type": kind})

    # -- the page -----------------------------------------------------------------------------

    files = _static_files()

    @app.get("/", include_in_schema=False)
    async def index(request: Request):
        return static(request, "index.html")

    @app.get("/static/{name}", include_in_schema=False)
    async def asset(request: Request, name: str):
        return static(request, name)

    def static(request, name):
        if name not in files:
            raise HTTPException(404)
        body, kind, tag = files[name]
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers={**headers, "Content-Type": kind})

    if config.cors:
        app.add_middleware(CORSMiddleware, allow_origins=list(config.cors),
                           allow_methods=["GET", "POST"], allow_headers=["*"],
                           expose_headers=["Retry-After", "X-Request-Id"])
    _without_422(app)
    return Gate(app, service)


async def _in_time(body, seconds):
    try:
        return await asyncio.wait_for(body, seconds)
    except asyncio.TimeoutError:
        raise TooSlow(f"the body did not arrive within {seconds:g} seconds") from None


def _note(request, model, version, lines):
    request.scope["ocr"].update(model=f"{model.name}/{version.number}", lines=lines)


def _static_files():
    files = {}
    for name in sorted(os.listdir(_STATIC)):
        kind = _TYPES.get(os.path.splitext(name)[1])
        if kind:
            with open(os.path.join(_STATIC, name), "rb") as source:
                body = source.read()
            files[name] = (body, kind, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    return files


def _without_422(app):
    """Make the OpenAPI document say what is so: wrong parameters are answered with 400."""
    generate = app.openapi

    def openapi():
        document = generate()
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            document.get("components", {}).get("schemas", {}).pop(name, None)
        return document

    app.openapi = openapi
