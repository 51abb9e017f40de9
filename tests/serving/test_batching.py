"""Lines of many requests, read together."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocr.serving.batching import WIDTH_RATIO, Batcher
from ocr.serving.errors import Busy, OutOfTime, Unavailable


def line(number, width=64):
    return np.full((8, width), number, np.float32)


class Echo:
    """A network whose logits are its pixels: each line is known by its number."""

    def __init__(self, gate=None):
        self.shapes, self.gate, self.entered = [], gate, threading.Event()

    def __call__(self, images, widths):
        self.shapes.append(images.shape)
        self.entered.set()
        if self.gate:
            assert self.gate.wait(10)
        return images[:, 0].transpose(0, 2, 1), widths


def far():
    return time.monotonic() + 60


@pytest.fixture
def batcher():
    made = []

    def make(run, **options):
        made.append(Batcher(run, **options))
        return made[-1]

    yield make
    for one in made:
        assert one.close(timeout=10)


@settings(max_examples=15)
@given(st.lists(st.lists(st.integers(1, 700), min_size=1, max_size=5), min_size=1, max_size=12),
       st.integers(1, 6), st.integers(1, 3))
def test_every_request_gets_its_own_lines_in_order(requests, max_batch, workers):
    echo, numbers = Echo(), iter(range(1, 1000))
    batcher = Batcher(echo, max_batch, 0.001, 1000, workers)
    sent = []
    for widths in requests:
        lines = [line(next(numbers), width) for width in widths]
        sent.append((lines, batcher.submit(lines, far())))
    for lines, work in sent:
        for expected, logits in zip(lines, work.future.result(10)):
            np.testing.assert_array_equal(logits, expected.T)
    assert batcher.close(10)
    assert max(shape[0] for shape in echo.shapes) <= max_batch
    assert sum(shape[0] for shape in echo.shapes) == sum(map(len, requests))


def test_lines_of_several_requests_share_a_batch(batcher):
    gate = threading.Event()
    echo = Echo(gate)
    one = batcher(echo, max_batch=8, wait=0)
    first = one.submit([line(1)], far())
    assert echo.entered.wait(10)
    others = [one.submit([line(n)], far()) for n in range(2, 7)]
    gate.set()
    for number, work in enumerate([first, *others], 1):
        assert work.future.result(10)[0][0, 0] == number
    assert [shape[0] for shape in echo.shapes] == [1, 5]


def test_a_batch_waits_for_more_lines(batcher):
    echo = Echo()
    one = batcher(echo, max_batch=2, wait=30)
    works = [one.submit([line(n)], far()) for n in (1, 2)]
    assert [work.future.result(10)[0][0, 0] for work in works] == [1, 2]
    assert [shape[0] for shape in echo.shapes] == [2]


def test_only_lines_of_like_width_are_padded_together(batcher):
    gate = threading.Event()
    echo = Echo(gate)
    one = batcher(echo, max_batch=8, wait=0, width_step=1)
    one.submit([line(1, 10)], far())
    assert echo.entered.wait(10)
    works = [one.submit([line(n, width)], far())
             for n, width in enumerate((100, 1000, int(100 * WIDTH_RATIO), 900, 200))]
    gate.set()
    for work in works:
        work.future.result(10)
    assert [shape[0] for shape in echo.shapes] == [1, 2, 2, 1]
    assert [shape[3] for shape in echo.shapes] == [10, 130, 1000, 200]


def test_a_full_queue_refuses_and_takes_again(batcher):
    gate = threading.Event()
    echo = Echo(gate)
    one = batcher(echo, max_batch=1, wait=0, queue=2)
    running = one.submit([line(1)], far())
    assert echo.entered.wait(10)
    waiting = one.submit([line(2), line(3)], far())
    with pytest.raises(Busy, match="2 lines wait") as caught:
        one.submit([line(4)], far())
    assert caught.value.headers["Retry-After"].isdigit() and len(one) == 2
    gate.set()
    assert running.future.result(10) and len(waiting.future.result(10)) == 2
    # More than the queue holds, but nothing waits.
    assert len(one.submit([line(n) for n in range(5)], far()).future.result(10)) == 5


def test_late_and_discarded_lines_are_not_read(batcher):
    gate = threading.Event()
    echo = Echo(gate)
    one = batcher(echo, max_batch=1, wait=0)
    running = one.submit([line(1)], far())
    assert echo.entered.wait(10)
    late = one.submit([line(2)], time.monotonic() - 1)
    dropped = one.submit([line(3), line(4)], far())
    kept = one.submit([line(5)], far())
    one.discard(dropped)
    assert dropped.future.cancelled() and len(one) == 2
    gate.set()
    with pytest.raises(OutOfTime):
        late.future.result(10)
    assert kept.future.result(10)[0][0, 0] == 5 and running.future.result(10)
    assert len(echo.shapes) == 2


def test_a_failing_run_fails_its_requests_alone(batcher):
    def run(images, widths):
        if images.max() == 13:
            raise FloatingPointError("13")
        return images[:, 0].transpose(0, 2, 1), widths

    told = []
    one = batcher(run, max_batch=1, wait=0, on_batch=lambda *values: told.append(values))
    bad, good = one.submit([line(13), line(1)], far()), one.submit([line(2)], far())
    with pytest.raises(FloatingPointError):
        bad.future.result(10)
    assert good.future.result(10)[0][0, 0] == 2
    assert one.close(10) and [lines for lines, _ in told] == [1, 1, 1]


def test_closing_reads_what_waits_and_takes_no_more(batcher):
    gate = threading.Event()
    one = batcher(Echo(gate), max_batch=1, wait=0)
    works = [one.submit([line(n)], far()) for n in range(4)]
    assert not one.close(timeout=0)
    with pytest.raises(Unavailable):
        one.submit([line(9)], far())
    gate.set()
    assert one.close(10) and all(work.future.done() for work in works)
