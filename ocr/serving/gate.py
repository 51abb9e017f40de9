"""What every request passes: limits, counting, one line of log, headers."""

import asyncio
import logging
import time
import uuid

from .errors import Busy, TooLarge
from .tensors import to_json

__all__ = ["Gate"]

log = logging.getLogger("ocr.serving")

_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
           "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
           "frame-ancestors 'none'")
#: The page of /docs, which is FastAPI's, has its script and its styles in it.
_DOCS_POLICY = _POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'")
_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-cache")]
#: Where documents are sent, not images of a few megabytes.
_LARGE = ("/jobs", "/export")


class Gate:
    """ASGI middleware around the whole service.

    Parameters
    ----------
    app : ASGI application
    service : ocr.serving.service.Service
    """

    def __init__(self, app, service):
        self._app, self._service = app, service

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, service = time.monotonic(), self._service
        policy = (b"content-security-policy",
                  (_DOCS_POLICY if scope["path"] == "/docs" else _POLICY).encode())
        most = service.config.max_job_bytes if scope["path"] in _LARGE \
            else service.config.max_bytes
        # What handlers add is logged with the request.
        notes = scope["ocr"] = {"id": uuid.uuid4().hex[:12]}
        status = 0

        async def answer(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [
                    *message.get("headers", ()), *_HEADERS, policy,
                    (b"x-request-id", notes["id"].encode()),
                    *([(b"connection", b"close")] if service.stopping else [])]}
            await send(message)

        counted = scope["method"] == "POST"
        try:
            if counted and service.in_flight >= service.config.max_requests:
                error = Busy(f"{service.in_flight} requests are in work already; come back later")
                service.metrics.errors.labels("Busy").inc()
                await _refuse(answer, error)
                return
            if counted:
                service.begin()
            try:
                await self._app(scope, _Limited(receive, scope, most), answer)
            finally:
                if counted:
                    service.end()
        except asyncio.CancelledError:
            notes["lost"] = 1
            service.lose()
            raise
        finally:
            self._note(scope, notes.pop("status", status), time.monotonic() - begun)

    def _note(self, scope, status, seconds):
        notes, metrics = scope["ocr"], self._service.metrics
        route = getattr(scope.get("route"), "path", None) or "other"
        metrics.requests.labels(route, str(status)).inc()
        metrics.latency.labels(route).observe(seconds)
        client = scope.get("client")
        more = "".join(f" {key}={value}" for key, value in notes.items())
        log.info("%s %s %d %.1fms client=%s%s", scope["method"],
                 ascii(scope["path"])[1:-1], status, seconds * 1000,
                 client[0] if client else "-", more)


async def _refuse(send, error):
    body = to_json({"error": str(error)})
    headers = [(b"content-type", b"application/json"),
               (b"content-length", str(len(body)).encode())]
    headers += [(k.lower().encode(), v.encode()) for k, v in error.headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Limited:
    """`receive` that stops a body at a number of bytes, as they arrive."""

    def __init__(self, receive, scope, most):
        self._receive, self._scope, self._most = receive, scope, most
        self._count = 0

    async def __call__(self):
        # A length that was announced is enough; nothing needs to be read.
        announced = dict(self._scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced[:20]) > self._most:
            raise self._error()
        message = await self._receive()
        if message["type"] == "http.request":
            self._count += len(message.get("body", b""))
            self._scope["ocr"]["bytes"] = self._count
            if self._count > self._most:
                raise self._error()
        return message

    def _error(self):
        return TooLarge(f"the request is larger than the {self._most} bytes allowed")
