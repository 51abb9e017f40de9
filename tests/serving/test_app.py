"""The service's addresses, by a real server on the loopback address."""

import base64
import concurrent.futures
import io
import json
import re
import threading
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocr.image import line_to_input, prepare_line
from ocr.serving import schemas
from ocr.serving.reading import ServedRecogniser

from .conftest import form, png
from .fakes import CHARACTERS, BarRecogniser, draw_bars

V1 = "/v1/models/half"


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def tensor(text):
    config = BarRecogniser().preprocess
    return line_to_input(prepare_line(draw_bars(text), config), config).tolist()


def text_of(logits):
    """Decode by hand, as a client of TensorFlow Serving does."""
    best = np.argmax(logits, axis=1)
    return "".join(CHARACTERS[i] for i, before in zip(best, [-1, *best[:-1]])
                   if i != before and i < len(CHARACTERS))


# -- TensorFlow Serving -----------------------------------------------------------------------

def test_status_and_metadata(shared):
    for path in (V1, V1 + "/versions/1"):
        assert shared.get(path).json == {"model_version_status": [
            {"version": "1", "state": "AVAILABLE",
             "status": {"error_code": "OK", "error_message": ""}}]}
    for path in (V1, V1 + "/versions/1"):
        value = shared.get(path + "/metadata").json
        assert value["model_spec"] == {"name": "half", "signature_name": "", "version": "1"}
        signatures = value["metadata"]["signature_def"]["signature_def"]
        images = signatures["serving_default"]["inputs"]["images"]
        assert images["dtype"] == "DT_FLOAT"
        assert [d["size"] for d in images["tensor_shape"]["dim"]] == ["-1", "1", "32", "-1"]
        assert set(signatures["text"]["outputs"]) == {"text", "confidence"}


def test_tensors_give_logits(shared):
    texts = ["abc", "a longer line"]
    rows = shared.post(V1 + ":predict", {"instances": [tensor(t) for t in texts]}).json
    assert [text_of(logits) for logits in rows["predictions"]] == texts
    # Each line has its own frames, of the width that was sent.
    assert [len(logits) for logits in rows["predictions"]] == [9, 29]
    named = shared.post(V1 + "/versions/1:predict", {
        "signature_name": "serving_default", "instances": [{"images": [tensor("abc")]}]}).json
    assert named["predictions"][0] == rows["predictions"][0]
    for inputs in ([tensor("abc"), tensor("cab")], {"images": [tensor("abc"), tensor("cab")]}):
        columns = shared.post(V1 + ":predict", {"inputs": inputs}).json
        assert [text_of(logits) for logits in columns["outputs"]] == ["abc", "cab"]


def test_greys_give_probabilities(shared, running):
    """What a client of the captcha systems sends: dark ink on light paper, 0 to 1."""
    grey = (draw_bars("abc") / 255).tolist()
    answer = shared.post(V1 + ":predict", {"signature_name": "softmax", "instances": [grey]}).json
    [probabilities] = np.array(answer["predictions"])
    assert text_of(probabilities) == "abc" and (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    # With a channel; in columns; as the answer to those who name no signature.
    channel = [[[v] for v in row] for row in grey]
    columns = shared.post(V1 + ":predict", {"signature_name": "softmax", "inputs": [channel]})
    assert columns.json["outputs"] == answer["predictions"]
    client, _ = running(signature="softmax")
    assert client.post(V1 + ":predict", {"instances": [grey]}).json == answer
    for wrong, message in (([[0, 255]], "from 0 (black) to 1"), ([[[[0]]]], "expected shape"),
                           ([["a"]], "expected numbers")):
        bad = shared.post(V1 + ":predict", {"signature_name": "softmax", "instances": [wrong]})
        assert bad.status == 400 and message in bad.error


def test_models_are_listed(shared):
    [model] = shared.get("/v1/models").json["models"]
    assert model["name"] == "half" and model["default"]
    assert model["model_version_status"][0]["state"] == "AVAILABLE"


def test_images_give_text(shared):
    sent = [b64(png("first line")), b64(png("another"))]
    rows = shared.post(V1 + ":predict", {"signature_name": "text", "instances": sent}).json
    assert [row["text"] for row in rows["predictions"]] == ["first line", "another"]
    assert all(0.9 < row["confidence"] <= 1 for row in rows["predictions"])
    rows = shared.post(V1 + ":predict", {
        "signature_name": "text", "instances": [{"image": one} for one in sent]}).json
    assert [row["text"] for row in rows["predictions"]] == ["first line", "another"]
    for inputs in (sent, {"image": sent}):
        columns = shared.post(V1 + ":predict", {"signature_name": "text", "inputs": inputs}).json
        assert columns["outputs"]["text"] == ["first line", "another"]
        assert len(columns["outputs"]["confidence"]) == 2


@pytest.mark.parametrize("path, message", [
    ("/v1/models/none", "Could not find any versions of model none"),
    ("/v1/models/half/versions/3", "Could not find version 3 of model half"),
    ("/v1/models/none/metadata", "Servable not found for request: Latest(none)"),
    ("/v1/models/half/versions/3/metadata", "Servable not found for request: Specific(half, 3)"),
    ("/v1/elsewhere", "Malformed request: GET /v1/elsewhere"),
    ("/static/../app.py", "Malformed request: GET /static/../app.py"),
])
def test_what_is_not_there_is_404_in_tensorflow_servings_words(shared, path, message):
    answer = shared.get(path)
    assert (answer.status, answer.error) == (404, message)


def test_predict_of_unknown_models_is_404(shared):
    for path, wanted in (("none", "Latest(none)"), ("none/versions/2", "Specific(none, 2)"),
                         ("half/versions/2", "Specific(half, 2)")):
        answer = shared.post(f"/v1/models/{path}:predict", {"instances": [[[0]]]})
        assert (answer.status, answer.error) == (404, f"Servable not found for request: {wanted}")
    for query in ("?model=none", "?version=7"):
        assert shared.recognise(png("a"), query=query).status == 404
    for method, path, allowed in (("GET", V1 + ":predict", "POST"), ("POST", V1, "GET"),
                                  ("GET", V1 + "/versions/1:predict", "POST"),
                                  ("DELETE", V1 + ":predict", "POST"),
                                  ("GET", "/recognition", "POST")):
        answer = shared.send(method, path)
        assert answer.status == 405 and answer.error and answer.headers["allow"] == allowed


def body_of(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.mark.parametrize("body, message", [
    (b"", "JSON Parse error"), (b"{", "JSON Parse error"), (b"\xff\xfe", "JSON Parse error"),
    (b'{"instances": [[NaN]]}', "NaN is no JSON number"), (b"[" * 100_000, "nested too deeply"),
    (b'{"instances": ' + b"[" * 5000 + b"]" * 5000 + b"}", ""),
    (b"1" * 5000, ""), ([1], "no JSON object"), ({}, "not neither"),
    ({"instances": [1], "inputs": [1]}, "not both"), ({"instance": [1]}, "unknown key 'instance'"),
    ({"signature_name": "no\n", "instances": [1]},
     r"Serving signature name: 'no\n' not found in signature def"),
    ({"signature_name": 3, "instances": [1]}, "no string"),
    ({"instances": []}, "not empty"), ({"instances": {}}, "must be a list"),
    ({"inputs": []}, "empty"), ({"inputs": {"image": []}}, "expected the input 'images'"),
    ({"instances": [{"images": [], "widths": 3}]}, "expected the input 'images'"),
    ({"instances": [[]]}, "expected"), ({"instances": [[[1, 2], [3]]]}, "lists of equal lengths"),
    ({"instances": ["abc"]}, "nested lists of numbers"), ({"instances": [None]}, "nested lists"),
    ({"instances": [[["1"]]]}, "expected numbers"), ({"instances": [[[True]]]}, "expected numbers"),
    ({"instances": [[[1]] * 31]}, "expected shape (1, 32, W), not (31, 1)"),
    ({"instances": [[[]] * 32]}, "expected shape"), ({"instances": [[[1e39]] * 32]}, "float32"),
    (b'{"instances": [[' + b",".join([b"[1e999]"] * 32) + b"]]}", "float32"),
    ({"instances": [[[10 ** 400]] * 32]}, "expected numbers"), ({"instances": [b64(b"")]}, ""),
    ({"signature_name": "text", "instances": [[1]]}, 'expected {"b64"'),
    ({"signature_name": "text", "instances": [{"b64": 3}]}, 'expected {"b64"'),
    ({"signature_name": "text", "instances": [{"b64": "a"}]}, "not base64"),
    ({"signature_name": "text", "instances": [{"b64": "\u00e9"}]}, "not base64"),
    ({"signature_name": "text", "instances": [{"b64": "aGFsbG8="}]}, "line 0: not an image"),
    ({"signature_name": "text", "instances": [{"\ud800": 1}]}, "expected the input 'image'"),
])
@pytest.mark.filterwarnings("ignore:Creating an ndarray from ragged")
def test_bad_predictions_are_400(shared, body, message):
    answer = shared.post(V1 + ":predict", body_of(body))
    assert answer.status == 400 and message in answer.error


# -- images -----------------------------------------------------------------------------------

def test_recognition_of_several_files(shared):
    answer = shared.recognise(("b.png", png("second")), ("a.png", png("the first")),
                              query="?lines=one")
    value = answer.json
    assert (value["model"], value["version"]) == ("half", 1)
    assert [page["image"] for page in value["images"]] == ["b.png", "a.png"]
    assert [page["text"] for page in value["images"]] == ["second", "the first"]
    [line] = value["images"][0]["lines"]
    assert [c["text"] for c in line["characters"]] == list("second")
    left, top, right, bottom = line["characters"][1]["box"]
    # "e" was drawn from 24 to 32; cells reach half way to the neighbours.
    assert left < 25 and 31 < right <= 40 and bottom - top == 32
    assert line["alternatives"] == [] and not line["low_confidence"]
    schemas.Recognition.model_validate(value, strict=False)


def test_recognition_knows_alternatives(running):
    class Doubtful(BarRecogniser):
        def read_arrays(self, images, widths):
            logits, frames = super().read_arrays(images, widths)
            # Another letter is nearly as likely.
            logits[:, :, CHARACTERS.index("b")] += 8.5 * (logits[:, :, 0] > 8)
            return logits, frames

    pytest.importorskip("pyctcdecode")
    client, _ = running(open_model=lambda path: ServedRecogniser(Doubtful()))
    answer = client.recognise(png("cat"), query="?lines=one&alternatives=2")
    [line] = answer.json["images"][0]["lines"]
    assert line["text"] == "cat" and "cbt" in [a["text"] for a in line["alternatives"]]
    assert len(line["alternatives"]) <= 2
    answer = client.recognise(png("cat"), query="?lines=one")
    assert answer.json["images"][0]["lines"][0]["alternatives"] == []


def test_a_pages_lines_are_found(shared):
    pytest.importorskip("skimage")
    page = Image.new("L", (900, 420), 245)
    for top in (40, 160, 280):
        ImageDraw.Draw(page).text((60, top), "several words on a line", fill=20,
                                  font=ImageFont.load_default(size=36))
    page = np.asarray(page)
    for query in ("?lines=find", ""):
        lines = shared.recognise(png(page), query=query).json["images"][0]["lines"]
        assert len(lines) == 3
        for line, top in zip(lines, (40, 160, 280)):
            assert line["box"][1] < top + 20 < line["box"][3]
    # A blank page has no lines, and that is no error.
    blank = shared.recognise(png(np.full((200, 300), 255, np.uint8)), query="?lines=find")
    assert blank.json["images"][0]["lines"] == []


@pytest.mark.parametrize("format, root", [("alto", "<alto "), ("page", "<PcGts ")])
def test_xml(shared, format, root):
    answer = shared.recognise(("s\u00e9.png", png("some text")),
                              query=f"?format={format}&lines=one")
    assert answer.status == 200 and answer.headers["content-type"].startswith("application/xml")
    text = answer.body.decode("utf-8")
    assert root in text and "some" in text
    answer = shared.recognise(png("a"), png("b"), query=f"?format={format}")
    assert answer.headers["content-type"] == "application/zip"
    assert shared.recognise(png("a"), b"none", query=f"?format={format}").status == 400


@pytest.mark.parametrize("query", ["?lines=none", "?alternatives=-1", "?alternatives=11",
                                   "?format=doc", "?version=x", "?alternatives=" + "9" * 5000])
def test_wrong_options_are_400(shared, query):
    answer = shared.recognise(png("a"), query=query)
    assert answer.status == 400 and "query." in answer.error


def test_wrong_forms_are_400(shared):
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for body, headers in (
            (b"", {}), (b"{}", {"Content-Type": "application/json"}), (b"", kind),
            (b"", {"Content-Type": "image/png"}),
            (b"--x\r\n", kind), (b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--", kind),
            (b"nonsense", {"Content-Type": "multipart/form-data"}),
            (b"\x00" * 100, kind), (b"", {"Content-Type": "multipart/form-data; boundary="})):
        answer = shared.send("POST", "/recognition", body, headers)
        assert answer.status == 400 and answer.error, body
    assert "unknown field 'image'" in shared.recognise(png("a"), field="image").error
    body, kind = form([("files", None, b"text")])
    answer = shared.send("POST", "/recognition", body, {"Content-Type": kind})
    assert answer.status == 400 and "with a filename" in answer.error


def test_a_name_from_outside_cannot_write_into_messages_or_logs(shared, caplog):
    answer = shared.recognise(("../../etc/x\u001b[31m.png", b"no image"))
    assert answer.status == 400 and answer.error.startswith("x\\x1b[31m.png: not an image")


def test_one_bad_image_costs_the_others_nothing(running, shared):
    client, _ = running(max_lines=2, max_pixels=20_000)
    large = np.full((200, 200), 255, np.uint8)
    images = client.recognise(("a.png", png("good")), ("b.png", b"none"), ("c.png", png(large)),
                              ("d.png", png("well")), ("e.png", png("more")),
                              query="?lines=one").json["images"]
    assert [page.get("text") for page in images] == ["good", None, None, "well", None]
    assert "b.png: not an image" in images[1]["error"] and "40000" not in images[0]
    assert "200 x 200" in images[2]["error"] and "3 lines are more" in images[4]["error"]
    schemas.Recognition.model_validate({"model": "m", "version": 1, "images": images})
    rows = shared.post(V1 + ":predict", {"signature_name": "text", "instances": [
        b64(png("good")), b64(b"none"), {"b64": "?"}]}).json["predictions"]
    assert [row["text"] for row in rows] == ["good", "", ""] and rows[0]["error"] == ""
    assert "line 1: not an image" in rows[1]["error"] and "line 2: not base64" in rows[2]["error"]


def test_a_body_may_be_the_file_itself(shared):
    for kind in ("image/png", "application/octet-stream"):
        answer = shared.send("POST", "/recognition?lines=one&name=x.png", png("raw bytes"),
                             {"Content-Type": kind})
        [page] = answer.json["images"]
        assert (page["image"], page["text"]) == ("x.png", "raw bytes")


def test_every_page_of_a_file_is_read(shared):
    out = io.BytesIO()
    frames = [Image.fromarray(draw_bars(text)) for text in ("one", "two", "three")]
    frames[0].save(out, "TIFF", save_all=True, append_images=frames[1:])
    pages = shared.recognise(("a.tiff", out.getvalue()), query="?lines=one").json["images"]
    assert [(p["page"], p["text"]) for p in pages] == [(1, "one"), (2, "two"), (3, "three")]


# -- limits -----------------------------------------------------------------------------------

def test_too_many_bytes_are_413_before_they_are_read(running):
    client, _ = running(max_bytes=5000)
    assert client.recognise(png("a")).status == 200
    noise = np.random.default_rng(0).integers(0, 256, (100, 100), np.uint8)
    answer = client.recognise(png(noise))
    assert answer.status == 413 and "5000 bytes" in answer.error
    # Announced but never sent: the answer does not wait for it.
    with _socket(client) as sock:
        sock.sendall(b"POST /recognition HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n"
                     b"Content-Type: multipart/form-data; boundary=x\r\n\r\n")
        assert b" 413 " in sock.recv(1000)
    # Not announced: it is counted as it comes.
    with _socket(client) as sock:
        sock.sendall(b"POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(6):
            sock.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        assert b" 413 " in sock.recv(1000)


def _socket(client):
    import socket

    return socket.create_connection(("127.0.0.1", client.port), timeout=20)


def test_too_many_pixels_are_413_before_they_are_unpacked(running):
    client, _ = running(max_pixels=100_000)
    # 16 million pixels in a few kilobytes.
    out = io.BytesIO()
    Image.new("1", (4000, 4000)).save(out, "PNG")
    for data, pixels in ((out.getvalue(), ""), (png(np.zeros((400, 251), np.uint8)), "251 x 400")):
        answer = client.recognise(data)
        assert answer.status == 413 and pixels in answer.error and "100000" in answer.error
    assert client.recognise(png(np.full((400, 250), 255, np.uint8))).status == 200


def test_too_many_files_lines_and_columns_are_413(running):
    client, _ = running(max_files=2, max_lines=3)
    for count in (3, 4, 9):
        answer = client.recognise(*[png("a")] * count)
        assert answer.status == 413 and "files" in answer.error
    answer = client.post(V1 + ":predict", {"instances": [tensor("a")] * 4})
    assert answer.status == 413 and "4 lines" in answer.error
    wide = np.zeros((32, 5000)).tolist()
    answer = client.post(V1 + ":predict", {"instances": [wide]})
    assert answer.status == 413 and "5000 columns" in answer.error


def test_a_body_that_does_not_arrive_is_408(running):
    client, _ = running(upload_timeout=0.1)
    with _socket(client) as sock:
        sock.sendall(b"POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Length: 10\r\n\r\n{")
        assert b" 408 " in sock.recv(1000)


def test_a_full_queue_is_429(running):
    client, service = running(settings="delay=0.5", max_batch=1, queue=2)
    body = {"signature_name": "text", "instances": [b64(png("a"))]}
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.post(V1 + ":predict", body), range(12)))
    statuses = sorted(answer.status for answer in answers)
    assert set(statuses) == {200, 429} and statuses.count(200) >= 2
    refused = next(answer for answer in answers if answer.status == 429)
    assert int(refused.headers["retry-after"]) >= 1 and "come back later" in refused.error
    assert client.post(V1 + ":predict", body).status == 200


def test_too_many_requests_are_429_at_the_door(running):
    client, service = running(settings="delay=0.5", max_requests=2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.recognise(png("a")), range(8)))
    assert {answer.status for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status == 429)
    assert "requests are in work" in refused.error and refused.headers["retry-after"]
    assert client.get("/healthz").status == 200 and service.in_flight == 0


class Slow(BarRecogniser):
    """Waits for `gate` with what it reads once `entered` is set."""

    def __init__(self, entered, gate):
        super().__init__()
        self.entered, self.gate = entered, gate

    def read_arrays(self, images, widths):
        if self.entered.is_set() and not self.gate.is_set():
            assert self.gate.wait(20)
        return super().read_arrays(images, widths)


def test_late_answers_are_504_and_their_work_is_dropped(running):
    entered, gate = threading.Event(), threading.Event()
    slow = Slow(entered, gate)
    client, service = running(open_model=lambda path: ServedRecogniser(slow), timeout=0.3,
                              max_batch=1)
    warm = len(slow.batches)
    entered.set()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.recognise(png("a"), query="?lines=one"),
                                range(4)))
    assert {answer.status for answer in answers} == {504} and "0.3 seconds" in answers[0].error
    gate.set()
    assert client.recognise(png("abc"), query="?lines=one").json["images"][0]["text"] == "abc"
    # One was being read when it ran late; of the others nothing was.
    assert len(slow.batches) - warm == 2


def test_a_client_that_goes_away_is_not_worked_for(running):
    entered, gate = threading.Event(), threading.Event()
    slow = Slow(entered, gate)
    client, service = running(open_model=lambda path: ServedRecogniser(slow), max_batch=1)
    warm = len(slow.batches)
    entered.set()
    body, kind = form([("files", "a.png", png("a"))])
    for _ in range(3):
        connection = client.connect()
        connection.request("POST", "/recognition?lines=one", body, {"Content-Type": kind})
        _until(lambda: service.in_flight == 1)
        if not len(slow.batches):
            time.sleep(0.05)
        connection.close()
        _until(lambda: service.in_flight == 0)
    gate.set()
    assert client.recognise(png("abc"), query="?lines=one").json["images"][0]["text"] == "abc"
    assert len(slow.batches) - warm <= 2
    assert 'status="499"' in client.get("/metrics").body.decode()


def _until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


# -- many at once -----------------------------------------------------------------------------

def test_answers_go_to_those_who_asked(running):
    client, service = running(settings="delay=0.002", max_batch=8, workers=2)
    rng = np.random.default_rng(3)
    letters = CHARACTERS.replace(" ", "")

    def one(number):
        texts = ["".join(rng_letters) for rng_letters in jobs[number]]
        if number % 2:
            answer = client.recognise(*map(png, texts), query="?lines=one")
            return texts == [page["text"] for page in answer.json["images"]]
        answer = client.post(V1 + ":predict", {"signature_name": "text",
                                               "inputs": [b64(png(t)) for t in texts]})
        return texts == answer.json["outputs"]["text"]

    jobs = [[rng.choice(list(letters), rng.integers(1, 60)) for _ in range(rng.integers(1, 5))]
            for _ in range(40)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(len(jobs))))
    text = client.get("/metrics").body.decode()
    lines = sum(map(len, jobs))
    assert f'ocr_lines_total{{model="half",version="1"}} {lines}.0' in text
    assert f'ocr_batch_lines_sum{{model="half"}} {lines}.0' in text
    batches = float(text.split('ocr_batch_lines_count{model="half"} ')[1].split()[0])
    assert batches < lines
    _until(lambda: service.in_flight == 0)


# -- state ------------------------------------------------------------------------------------

def test_health_metrics_and_info(running):
    client, service = running()
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ready"}
    client.recognise(png("abc"), query="?lines=one")
    client.get("/nowhere")
    text = client.get("/metrics").body.decode()
    for line in ('ocr_requests_total{route="/recognition",status="200"} 1.0',
                 'ocr_requests_total{route="other",status="404"} 1.0',
                 'ocr_request_seconds_count{route="/recognition"} 1.0',
                 'ocr_queue_lines{model="half"} 0.0', "ocr_requests_in_work 0.0",
                 'ocr_batch_lines_count{model="half"} 1.0', 'ocr_model_version{model="half"} 1.0',
                 'ocr_errors_total{kind="HTTPException"} 1.0'):
        assert line in text.splitlines(), line
    info = client.get("/info").json
    assert info["models"] == [{"name": "half", "version": 1, "failed": {}}]
    assert info["max_bytes"] == service.config.max_bytes and "PNG" in info["formats"]
    service.stopping = True
    assert client.get("/readyz").status == 503
    service.stopping = False


def test_every_request_is_one_line_of_log(shared, caplog):
    caplog.set_level("INFO", "ocr.serving")
    answer = shared.recognise(png("abc"), query="?lines=one")
    _until(lambda: any("/recognition" in r.getMessage() for r in caplog.records))
    [line] = [r.getMessage() for r in caplog.records if "/recognition" in r.getMessage()]
    assert line.startswith("POST /recognition 200 ") and "model=half/1 lines=1" in line
    assert f"id={answer.headers['x-request-id']}" in line and "\n" not in line


def test_cors_is_off_unless_asked_for(running):
    origin = {"Origin": "https://example.org"}
    client, _ = running()
    assert "access-control-allow-origin" not in client.get("/info", headers=origin).headers
    client, _ = running(cors=["https://example.org"])
    answer = client.get("/info", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    other = client.get("/info", headers={"Origin": "https://example.com"})
    assert "access-control-allow-origin" not in other.headers


def test_the_page_and_its_files(shared):
    page = shared.get("/")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    docs = shared.get("/docs")
    assert docs.status == 200 and "cdn" not in docs.body.decode()
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', docs.body.decode()):
        assert shared.get(path).status == 200, path
    for name, kind in (("app.js", "text/javascript"), ("style.css", "text/css")):
        answer = shared.get(f"/static/{name}")
        assert answer.status == 200 and answer.headers["content-type"].startswith(kind)
        again = shared.get(f"/static/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status == 304 and not again.body
    text = page.body.decode()
    # Nothing from elsewhere, and no script or style that the CSP would refuse.
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<style" not in text and " style=" not in text and " onclick" not in text
    assert "<script>" not in text


def test_openapi_tells_what_is_there(shared):
    document = shared.get("/openapi.json").json
    assert set(document["paths"]) == {
        "/v1/models/{name}", "/v1/models/{name}/versions/{version}",
        "/v1/models/{name}/metadata", "/v1/models/{name}/versions/{version}/metadata",
        "/v1/models/{name}:predict", "/v1/models/{name}/versions/{version}:predict",
        "/v1/models", "/recognition", "/jobs", "/jobs/{id}", "/jobs/{id}/events",
        "/jobs/{id}/pages/{page}/image", "/export", "/healthz", "/readyz", "/info", "/metrics"}
    for path in document["paths"].values():
        for operation in path.values():
            assert "422" not in operation["responses"] and operation["summary"]
    predict = document["paths"]["/v1/models/{name}:predict"]["post"]
    assert {"200", "400", "404", "408", "413", "429", "503", "504"} <= set(predict["responses"])
    assert len(predict["requestBody"]["content"]["application/json"]["schema"]["oneOf"]) == 6
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    # Answers are what the document says.
    schemas.ModelStatus.model_validate(shared.get(V1).json)
    schemas.ModelMetadata.model_validate(shared.get(V1 + "/metadata").json)
    schemas.Info.model_validate(shared.get("/info").json)
    schemas.Models.model_validate(shared.get("/v1/models").json)
    for body in ({"instances": [tensor("a")]}, {"inputs": [tensor("a")]},
                 {"signature_name": "text", "instances": [b64(png("a"))]}):
        schemas.AnyPredictions.model_validate(shared.post(V1 + ":predict", body).json)
