"""The service as one application (FastAPI)."""

import logging
import os
from contextlib import asynccontextmanager
from typing import Optional

from lm.base.errors import OCRError
from lm.base.version import __version__

from . import export, predict, routes, schemas, tensors
from .documents import FORMATS
from .errors import Disconnected
from .gate import Gate

__all__ = ["create_app"]

log = logging.getLogger("ocr.serving")

_STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
#: Characters of a message that are sent.
_MOST_MESSAGE = 400


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
    from fastapi import Depends, Request, Security
    from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
    from fastapi_offline import FastAPIOffline
    from starlette.middleware.cors import CORSMiddleware
    from starlette.responses import FileResponse, Response
    from starlette.staticfiles import StaticFiles

    config, JSON, responses = service.config, schemas.json_response, schemas.responses

    @asynccontextmanager
    async def lifespan(app):
        await service.started()
        yield

    # FastAPI with the scripts of /docs on board.
    app = FastAPIOffline(title="ocr serve", version=__version__, lifespan=lifespan,
                         redoc_url=None, redirect_slashes=False,
                         description="Reads lines and pages of handwriting and print. Models are "
                                     "addressed as in TensorFlow Serving.")
    _errors(app, service)

    Key = Security(APIKeyHeader(name="X-API-Key", auto_error=False))
    Bearer = Security(HTTPBearer(auto_error=False))

    async def allowed(request: Request, key: Optional[str] = Key,
                      bearer: Optional[HTTPAuthorizationCredentials] = Bearer):
        name = service.keys.check(key or (bearer.credentials if bearer else None),
                                  request.client.host if request.client else "-",
                                  counted=request.method == "POST")
        if name is not None:
            request.scope["ocr"]["key"] = name

    keyed = [Depends(allowed)]
    app.include_router(predict.routes(service), dependencies=keyed)
    app.include_router(routes.routes(service), dependencies=keyed)

    # -- state --------------------------------------------------------------------------------

    @app.get("/healthz", summary="Whether the process lives", tags=["State"],
             responses={200: {"model": schemas.Health}})
    async def healthz():
        return JSON({"status": "ok"})

    @app.get("/readyz", summary="Whether requests are taken", tags=["State"],
             responses={200: {"model": schemas.Health},
                        503: {"model": schemas.Health, "description": "Not (any more)"}})
    async def readyz():
        ready = not service.stopping and all(model.current for model in service.store)
        return JSON({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    @app.get("/info", summary="Models and limits", tags=["State"], dependencies=keyed,
             responses=responses(schemas.Info))
    async def info():
        from ..layout import can_find_lines

        return JSON({
            "models": [{"name": m.name, "version": m.current.number if m.current else None,
                        "failed": {str(v.number): v.error for v in m.versions() if v.error}}
                       for m in service.store],
            "finds_lines": can_find_lines(), "max_bytes": config.max_bytes,
            "max_job_bytes": config.max_job_bytes, "max_pixels": config.max_pixels,
            "max_files": config.max_files, "formats": [*FORMATS, "PDF"],
            "exports": [*export.format_names(), export.TABLE]})

    @app.get("/metrics", summary="Figures for Prometheus", tags=["State"], dependencies=keyed,
             responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
             response_class=Response)
    async def metrics():
        # Not in the threads that read: it must answer while they are busy.
        body, kind = service.metrics.exposition()
        return Response(body, headers={"Content-Type": kind})

    # -- the page -----------------------------------------------------------------------------

    @app.get("/", include_in_schema=False)
    async def index():
        return FileResponse(os.path.join(_STATIC, "index.html"))

    app.mount("/static", StaticFiles(directory=_STATIC))
    if config.cors:
        app.add_middleware(CORSMiddleware, allow_origins=list(config.cors),
                           allow_methods=["GET", "POST", "DELETE"], allow_headers=["*"],
                           expose_headers=["Location", "Retry-After", "X-Request-Id"])
    _without_422(app)
    return Gate(app, service)


def _errors(app, service):
    """Answer every error with ``{"error": "one line"}``."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect

    def failed(request, status, message, headers=None, kind="HTTPException"):
        service.metrics.errors.labels(kind).inc()
        message = " ".join(str(message).split())
        if len(message) > _MOST_MESSAGE:
            message = message[:_MOST_MESSAGE] + "..."
        if status >= 500:
            log.warning("%s: %d %s", request.scope["ocr"]["id"], status, ascii(message)[1:-1])
        return schemas.json_response({"error": message}, status, headers)

    @app.exception_handler(OCRError)
    async def ours(request, error):
        # Other errors of the library are about the data it was given.
        status = getattr(error, "status", 400)
        if isinstance(error, Disconnected):
            request.scope["ocr"]["status"] = status
        return failed(request, status, error, getattr(error, "headers", None),
                      type(error).__name__)

    @app.exception_handler(ClientDisconnect)
    async def gone(request, error):
        request.scope["ocr"]["status"] = Disconnected.status
        return failed(request, 400, "the client went away", kind="Disconnected")

    @app.exception_handler(HTTPException)
    async def of_http(request, error):
        message = error.detail
        if error.status_code == 404:
            message = f"Malformed request: {request.method} {tensors.shown(request.url.path)[1:-1]}"
        return failed(request, error.status_code, message, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request, error):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first.get("loc", ()))
        return failed(request, 400, f"{where}: {first.get('msg', 'not valid')}",
                      kind="BadRequest")

    @app.exception_handler(Exception)
    async def fault(request, error):
        return failed(request, 500, "a fault of the service; its log says more", kind="fault")


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
