"""A service on a free port of the loopback address, and a client."""

import http.client
import io
import json
import threading
import uuid
from dataclasses import dataclass, field

import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from ocr.serving.app import create_app  # noqa: E402
from ocr.serving.config import ServingConfig  # noqa: E402
from ocr.serving.server import _bind, make_server  # noqa: E402
from ocr.serving.service import Service  # noqa: E402

from .fakes import draw_bars, open_served_bars  # noqa: E402


@dataclass
class Answer:
    status: int
    headers: dict = field(repr=False)
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The message of an error, whose form is checked."""
        assert self.headers["content-type"] == "application/json" and self.status >= 400
        [(key, message)] = self.json.items()
        assert key == "error" and message and "\n" not in message
        return message


class Client:
    """Sends requests, each over a connection of its own unless one is handed in."""

    def __init__(self, port):
        self.port = port

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def send(self, method, path, body=None, headers=None, connection=None):
        one = connection or self.connect()
        try:
            one.request(method, path, body, headers or {})
            answer = one.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()},
                          answer.read())
        finally:
            if connection is None:
                one.close()

    def get(self, path, **options):
        return self.send("GET", path, **options)

    def post(self, path, value, **options):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.send("POST", path, body, **options)

    def recognise(self, *files, query="", field="files", **options):
        """POST files: bytes, or (name, bytes)."""
        body, kind = form([(field, *(f if isinstance(f, tuple) else (f"{i}.png", f)))
                           for i, f in enumerate(files)])
        return self.send("POST", "/recognition" + query, body, {"Content-Type": kind}, **options)


def form(parts):
    """Return (body, content type) of a multipart form of (field, filename or None, bytes)."""
    edge, out = uuid.uuid4().hex, []
    for name, filename, data in parts:
        more = "" if filename is None else f'; filename="{filename}"'
        out += [f'--{edge}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode(),
                data, b"\r\n"]
    return b"".join([*out, f"--{edge}--\r\n".encode()]), f"multipart/form-data; boundary={edge}"


def png(image):
    """Return an array, or the bars of a text, as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(draw_bars(image) if isinstance(image, str) else image).save(out, "PNG")
    return out.getvalue()


class Services:
    """Starts services and ends them."""

    def __init__(self, folder):
        self.folder, self.started = folder, []

    def start(self, models=None, settings="", open_model=open_served_bars, **options):
        """Serve; returns (client, service). `settings` are those of the bars model."""
        if models is None:
            path = self.folder / "half.bars"
            path.write_text(f"bars {settings}")
            models = {"half": str(path)}
        config = ServingConfig.from_dict({"models": models, "port": 0, "poll": 0.05,
                                          "batch_wait_ms": 1.0, **options})
        service = Service(config, open_model)
        service.load()
        server = make_server(create_app(service), service)
        listener = _bind(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        self.started.append((server, service, thread))
        return Client(listener.getsockname()[1]), service

    def end(self):
        for server, service, thread in self.started:
            server.handle_exit(15, None)
            thread.join(20)
            assert not thread.is_alive()
            service.close()


@pytest.fixture
def running(tmp_path):
    """Start services: ``running(settings="delay=0.1", queue=4)`` returns (client, service)."""
    services = Services(tmp_path)
    yield services.start
    services.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A client of a service with the usual settings, of a module's tests together."""
    services = Services(tmp_path_factory.mktemp("shared"))
    yield services.start()[0]
    services.end()
