"""The service as a process: signals, and what becomes of requests then."""

import concurrent.futures
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from ocr.serving.tally import Tally

from .conftest import Client, png


@pytest.fixture
def process(tmp_path):
    """Start the service of bars as a process; returns (process, client, lines of its log)."""
    started = []

    def start(settings="", **options):
        model = tmp_path / "half.bars"
        model.write_text(f"bars {settings}")
        config = tmp_path / "serve.yaml"
        config.write_text(json.dumps({"models": {"half": str(model)}, "port": 0,
                                      "batch_wait_ms": 1.0, **options}))
        one = subprocess.Popen([sys.executable, "-m", "tests.serving.fakes", str(config)],
                               stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})
        started.append(one)
        log, ready = [], threading.Event()

        def follow():
            for line in one.stderr:
                log.append(line)
                if "serving half on " in line:
                    ready.set()
            ready.set()

        thread = threading.Thread(target=follow)
        thread.start()
        started.append(thread)
        assert ready.wait(60) and one.poll() is None, log
        port = int(re.search(r"on http://127\.0\.0\.1:(\d+)", "".join(log))[1])
        return one, Client(port), log, thread

    yield start
    for one in started[::2]:
        if one.poll() is None:
            one.kill()
        one.wait(20)
    for thread in started[1::2]:
        thread.join()
    for one in started[::2]:
        one.stderr.close()


def in_flight(client):
    text = client.get("/metrics").body.decode()
    return float(re.search(r"^ocr_requests_in_work (\S+)$", text, re.M)[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_when_all_is_answered(process, number):
    one, client, log, thread = process("delay=0.4", max_batch=2)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(client.recognise, png(text), query="?lines=one")
                   for text in ("a", "bc", "def", "ghij", "klm", "no")]
        while in_flight(client) < 6:
            pass
        one.send_signal(number)
        texts = [a.result().json["images"][0]["text"] for a in answers]
    assert texts == ["a", "bc", "def", "ghij", "klm", "no"]
    assert one.wait(20) == 0
    thread.join()
    assert "6 requests were in flight, 6 of them finished, 0 lost" in log[-1]
    with pytest.raises(OSError):
        client.get("/healthz")


def test_what_is_not_done_in_time_is_lost_and_told(process):
    one, client, log, thread = process("delay=3", drain=0.2)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(client.recognise, png("a"), query="?lines=one") for _ in range(2)]
        while in_flight(client) < 2:
            pass
        one.send_signal(signal.SIGTERM)
        for answer in answers:
            assert answer.result().status == 503 and "stops" in answer.result().error
    assert one.wait(20) == 1
    thread.join()
    assert "2 requests were in flight, 0 of them finished, 2 lost" in log[-1]


def test_every_request_that_was_begun_under_load_is_answered(process):
    one, client, log, thread = process("delay=0.02")
    answers, stop = [], threading.Event()

    def work():
        connection = client.connect()
        while not stop.is_set():
            try:
                answers.append(client.recognise(png("abc"), query="?lines=one",
                                                connection=connection))
            except (OSError, http.client.HTTPException):
                # Not accepted any more: the end.
                break
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    while len(answers) < 20:
        pass
    one.send_signal(signal.SIGTERM)
    assert one.wait(20) == 0
    stop.set()
    for each in (*threads, thread):
        each.join()
    assert all(a.status == 200 and a.json["images"][0]["text"] == "abc" for a in answers)
    assert len(answers) == sum("POST /recognition 200" in line for line in log)
    assert log[-1].endswith(" 0 lost\n") and not any("Traceback" in line for line in log)


def test_a_kill_is_told_by_the_next_start(process, tmp_path):
    state = str(tmp_path / "state")
    one, client, log, thread = process("delay=5", state=state)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(client.recognise, png("a"), query="?lines=one") for _ in range(3)]
        while in_flight(client) < 3:
            pass
        one.kill()
        one.wait(20)
        for answer in answers:
            with pytest.raises(OSError):
                answer.result()
    again, client, log, thread = process(state=state)
    assert any("killed with 3 requests in flight" in line for line in log)
    again.send_signal(signal.SIGTERM)
    assert again.wait(20) == 0
    assert Tally(state).lost == 0
