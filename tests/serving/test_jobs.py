"""Documents that are read in the background."""

import io
import os
import threading
import time

import numpy as np
import pytest
from PIL import Image

from ocr.serving import schemas
from ocr.serving.reading import ServedRecogniser

from .conftest import form, png
from .fakes import BarRecogniser, draw_bars


def tiff(*texts):
    out = io.BytesIO()
    frames = [Image.fromarray(draw_bars(text)) for text in texts]
    frames[0].save(out, "TIFF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def pdf(*texts):
    out = io.BytesIO()
    frames = [Image.fromarray(np.kron(draw_bars(text), np.ones((4, 4), np.uint8))).convert("RGB")
              for text in texts]
    # PDF pages are read at 300 dots an inch: four pixels for each of these.
    frames[0].save(out, "PDF", save_all=True, append_images=frames[1:], resolution=300)
    return out.getvalue()


def submit(client, *files, query="?lines=one", **options):
    body, kind = form([("files", name, data) for name, data in files])
    return client.send("POST", "/jobs" + query, body, {"Content-Type": kind}, **options)


def follow(client, path, seconds=20):
    """Return all events of a job, asked for as the page does."""
    events, end = [], time.monotonic() + seconds
    while True:
        news = client.get(f"{path}/events?after={len(events)}&wait=2").json
        schemas.News.model_validate(news)
        events += news["events"]
        assert news["next"] == len(events) and time.monotonic() < end
        if news["state"] in ("done", "cancelled") and not news["events"]:
            return events


def test_files_of_several_pages_are_read_line_by_line(shared):
    answer = submit(shared, ("a.png", png("first")), ("b.tiff", tiff("two", "three")),
                    ("c.png", b"none"))
    assert answer.status == 202 and answer.json["files"] == ["a.png", "b.tiff", "c.png"]
    path = answer.headers["location"]
    events = follow(shared, path)
    opened = [e for e in events if "lines" in e]
    assert [(e["at"], e["image"], e["page"]) for e in opened] == [
        (0, "a.png", None), (1, "b.tiff", 1), (2, "b.tiff", 2)]
    assert [len(e["lines"]) for e in opened] == [1, 1, 1]
    assert {e["at"]: e["reading"]["text"] for e in events if "line" in e} == {
        0: "first", 1: "two", 2: "three"}
    [failed] = [e for e in events if "error" in e]
    assert failed["at"] == 3 and "c.png: not an image" in failed["error"]
    result = shared.get(path).json
    schemas.JobResult.model_validate(result)
    assert [page.get("text") for page in result["images"]] == ["first", "two", "three", None]
    assert (result["state"], result["pages"], result["lines"], result["lines_read"]) == (
        "done", 4, 3, 3)
    # The same as if it had been read at once.
    [page] = shared.recognise(("a.png", png("first")), query="?lines=one").json["images"]
    assert result["images"][0] == page
    for number, text in enumerate(("first", "two", "three")):
        image = shared.get(f"{path}/pages/{number}/image")
        assert image.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(image.body)).size == draw_bars(text).shape[::-1]
    assert shared.get(f"{path}/pages/3/image").status == 400
    assert shared.get(f"{path}/pages/9/image").status == 404
    assert shared.send("DELETE", path).status == 200
    for gone in (path, path + "/events", path + "/pages/0/image", "/jobs/../x"):
        assert shared.get(gone).status == 404


def test_pdf(shared):
    pytest.importorskip("pypdfium2")
    path = submit(shared, ("a.pdf", pdf("first", "second"))).headers["location"]
    events = follow(shared, path)
    assert {e["at"]: e["reading"]["text"] for e in events if "line" in e} == {
        0: "first", 1: "second"}
    raw = shared.send("POST", "/jobs?lines=one&name=b.pdf", pdf("raw"),
                      {"Content-Type": "application/pdf"})
    assert [e["reading"]["text"] for e in follow(shared, raw.headers["location"])
            if "line" in e] == ["raw"]
    events = follow(shared, submit(shared, ("c.pdf", b"%PDF-1.7 cut")).headers["location"])
    assert "c.pdf: not a readable PDF" in events[0]["error"]


class Gated(BarRecogniser):
    """Reads a line for each time that the gate is opened."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Semaphore(0)

    def read_arrays(self, images, widths):
        if images.any():
            assert self.gate.acquire(timeout=20)
        return super().read_arrays(images, widths)


def test_jobs_wait_without_end_and_are_cancelled(running):
    model = Gated()
    client, service = running(open_model=lambda path: ServedRecogniser(model), timeout=0.3,
                              max_batch=1, queue=1, jobs=1)
    paths = [submit(client, (f"{n}.png", png("abc")), (f"{n}b.png", png("de"))
                    ).headers["location"] for n in range(3)]
    time.sleep(0.6)
    states = [job["state"] for job in client.get("/jobs").json["jobs"]]
    assert states == ["reading", "queued", "queued"]
    # One that waits and the one that is read.
    for path in (paths[1], paths[0]):
        assert client.send("DELETE", path).status == 200
    for _ in range(10):
        model.gate.release()
    events = follow(client, paths[2])
    assert [e["reading"]["text"] for e in events if "line" in e] == ["abc", "de"]
    assert client.recognise(png("x"), query="?lines=one").status == 200


def test_limits_of_jobs(running):
    model = Gated()
    client, service = running(open_model=lambda path: ServedRecogniser(model), max_jobs=2,
                              max_pages=2, max_bytes=1000, max_job_bytes=20_000, jobs=1)
    noise = png(np.random.default_rng(0).integers(0, 256, (150, 150), np.uint8))
    answer = submit(client, ("a.png", noise))
    assert answer.status == 413 and "20000 bytes" in answer.error
    paths = [submit(client, ("a.tiff", tiff(*"abc"))).headers["location"],
             submit(client, ("a.png", png("abc"))).headers["location"]]
    assert "3 pages are more than the 2" in follow(client, paths[0])[0]["error"]
    # A done one makes room; where none is done, there is no more.
    third = submit(client, ("b.png", png("de")))
    assert third.status == 202 and client.get(paths[0]).status == 404
    refused = submit(client, ("c.png", png("x")))
    assert refused.status == 429 and refused.headers["retry-after"] == "30"
    for wrong in ("?model=none", "?lines=none", "?alternatives=11"):
        assert submit(client, ("a.png", png("a")), query=wrong).status in (400, 404)


def test_results_are_forgotten_in_time(running):
    client, service = running(keep=0.3)
    path = submit(client, ("a.png", png("abc"))).headers["location"]
    follow(client, path)
    folder = service.jobs._folder
    end = time.monotonic() + 10
    while client.send("GET", "/jobs").json["jobs"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert client.get(path).status == 404 and os.listdir(folder) == []


def test_metrics_answer_while_all_readers_are_busy(running):
    gate = threading.Event()

    class Stuck(ServedRecogniser):
        def finish(self, *arguments):
            assert gate.wait(20)
            return super().finish(*arguments)

    client, _ = running(open_model=lambda path: Stuck(BarRecogniser()), readers=1)
    path = submit(client, ("a.png", png("abc"))).headers["location"]
    time.sleep(0.3)
    assert client.get("/metrics").status == 200 and client.get("/info").status == 200
    assert client.get(path).json["state"] == "reading"
    gate.set()
    follow(client, path)
