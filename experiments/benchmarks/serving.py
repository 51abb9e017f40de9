"""The service under load on the loopback address: speed, waiting, wrong or lost answers, memory.

    python experiments/benchmarks/serving.py --model MODEL [--images FOLDER] [--seconds 20]
        [--clients 1 8 64] [--soak 600] [--restart] [-- OPTIONS OF ocr serve]

Starts ``ocr serve`` as a process of its own. Each client keeps one connection and sends one line
image after the other to /recognition; every answer is compared with what the service read in
that line when it was asked alone. `--soak` runs 8 clients for so many seconds and samples the
process' memory; `--restart` ends the service under load with SIGTERM, starts it again, then
kills it and starts it once more, while clients go on trying. Without images, lines of print are
drawn.
"""

import argparse
import asyncio
import glob
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
from rapidfuzz.distance import Levenshtein

#: A reading further than this from the line's own is that of another line.
OTHER = 0.3


def drawn_lines(count):
    """Return (name, PNG bytes) of printed lines."""
    from PIL import Image, ImageDraw, ImageFont

    rng, font, lines = random.Random(1), ImageFont.load_default(size=28), []
    for number in range(count):
        text = " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))
                        for _ in range(rng.randint(2, 9)))
        image = Image.new("L", (int(font.getlength(text)) + 20, 44), 250)
        ImageDraw.Draw(image).text((10, 4), text, fill=20, font=font)
        out = io.BytesIO()
        image.save(out, "PNG")
        lines.append((f"{number}.png", out.getvalue()))
    return lines


def line_images(folder, count):
    """Return (name, bytes) of the images in a folder, or of drawn lines."""
    if folder is None:
        return drawn_lines(count)
    paths = sorted(p for kind in ("png", "jpg", "jpeg", "tif")
                   for p in glob.glob(os.path.join(glob.escape(folder), f"*.{kind}")))
    if not paths:
        sys.exit(f"{folder}: holds no images")
    lines = []
    for path in random.Random(1).sample(paths, min(count, len(paths))):
        with open(path, "rb") as source:
            lines.append((os.path.basename(path), source.read()))
    return lines


class Server:
    """``ocr serve`` as a process."""

    def __init__(self, model, options, port=0):
        self._log = tempfile.NamedTemporaryFile("r", suffix=".log")
        with open(self._log.name, "w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ocr", "serve", "--model", f"m={model}", "--port",
                 str(port), *options], stderr=out)
        end = time.monotonic() + 120
        while not (found := re.search(r"serving m on http://[\d.]+:(\d+)", self.log())):
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"the service does not start:\n{self.log()}")
            time.sleep(0.1)
        self.port = int(found[1])

    def log(self):
        with open(self._log.name, encoding="utf-8") as source:
            return source.read()

    def memory(self):
        """Resident memory in MiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as source:
            return int(re.search(r"VmRSS:\s+(\d+)", source.read())[1]) / 1024

    def end(self, number=signal.SIGTERM):
        """Send a signal; returns (exit status, last line of the log)."""
        self.process.send_signal(number)
        status = self.process.wait(60)
        return status, self.log().strip().splitlines()[-1]


class Connection:
    """HTTP/1.1 with keep-alive, by hand: the client must cost little."""

    def __init__(self, port):
        self._port, self._streams = port, None

    async def ask(self, request):
        """Send bytes; returns (status, body). `OSError` when the connection ends."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            body = await reader.readexactly(int(re.search(r"content-length: (\d+)", head)[1]))
        except (asyncio.IncompleteReadError, OSError) as error:
            self.close()
            raise ConnectionError(str(error)) from None
        if "connection: close" in head:
            self.close()
        return int(head.split()[1]), body

    def close(self):
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def request_of(name, data):
    """Return an HTTP request for one line."""
    edge = b"edge-of-the-part"
    body = (b"--" + edge + b'\r\nContent-Disposition: form-data; name="files"; filename="'
            + name.encode() + b'"\r\n\r\n' + data + b"\r\n--" + edge + b"--\r\n")
    return (b"POST /recognition?lines=one HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
            b"multipart/form-data; boundary=" + edge
            + f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def text_of(body):
    return json.loads(body)["images"][0]["text"]


class Load:
    """Clients that ask until they are stopped, and what they saw."""

    def __init__(self, port, requests, expected):
        self.port, self.requests, self.expected = port, requests, expected
        self.seconds, self.refused, self.failed = [], 0, []
        self.wrong = self.differing = self.lost = self.down = 0

    async def client(self, seed, stop):
        rng, connection = random.Random(seed), Connection(self.port)
        while not stop.is_set():
            index = rng.randrange(len(self.requests))
            began = time.perf_counter()
            try:
                status, body = await connection.ask(self.requests[index])
            except ConnectionRefusedError:
                # Nobody there: this request was never taken.
                self.down += 1
                await asyncio.sleep(0.05)
                continue
            except OSError:
                self.lost += 1
                continue
            if status == 429:
                self.refused += 1
                await asyncio.sleep(0.05)
            elif status != 200:
                self.failed.append(status)
            else:
                self.seconds.append(time.perf_counter() - began)
                text = text_of(body)
                if text != self.expected[index]:
                    far = Levenshtein.normalized_distance(text, self.expected[index]) > OTHER
                    self.wrong, self.differing = self.wrong + far, self.differing + (not far)
        connection.close()

    async def run(self, clients, during):
        """Run clients while the coroutine `during` does; returns lines a second."""
        stop, began = asyncio.Event(), time.perf_counter()
        tasks = [asyncio.create_task(self.client(seed, stop)) for seed in range(clients)]
        await during
        stop.set()
        await asyncio.gather(*tasks)
        return len(self.seconds) / (time.perf_counter() - began)


async def reference(port, requests):
    """Return what the service reads in each line when it is asked alone."""
    connection, texts = Connection(port), []
    for request in requests:
        status, body = await connection.ask(request)
        if status != 200:
            sys.exit(f"the service answered {status}: {body.decode()}")
        texts.append(text_of(body))
    connection.close()
    return texts


def mean_batch(port):
    """Return (lines, batches) read so far."""
    from urllib.request import urlopen

    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    return tuple(float(re.search(rf'ocr_batch_lines_{what}{{model="m"}} (\S+)', text)[1])
                 for what in ("sum", "count"))


def levels(server, requests, expected, arguments):
    print("clients  lines/s   p50 ms   p99 ms  lines a batch   429  failed  lost  wrong  differing"
          "  MiB")
    for clients in arguments.clients:
        load, before = Load(server.port, requests, expected), mean_batch(server.port)
        rate = asyncio.run(_run(load, clients, arguments.seconds))
        lines, batches = np.subtract(mean_batch(server.port), before)
        p50, p99 = np.percentile(load.seconds, [50, 99]) * 1000
        print(f"{clients:7} {rate:8.1f} {p50:8.1f} {p99:8.1f} {lines / max(batches, 1):14.1f} "
              f"{load.refused:5} {len(load.failed):7} {load.lost:5} {load.wrong:6} "
              f"{load.differing:10} {server.memory():4.0f}", flush=True)


async def _run(load, clients, seconds):
    return await load.run(clients, asyncio.sleep(seconds))


def soak(server, requests, expected, seconds):
    load, samples = Load(server.port, requests, expected), []

    async def watch():
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(min(5, seconds / 10))
            samples.append(server.memory())

    rate = asyncio.run(load.run(8, watch()))
    third = max(1, len(samples) // 3)
    print(f"soak, 8 clients, {seconds:g} s: {rate:.1f} lines/s, {len(load.seconds)} answers, "
          f"{load.wrong} wrong, {load.lost} lost; memory MiB: first third "
          f"{np.mean(samples[:third]):.0f}, last third {np.mean(samples[-third:]):.0f}, "
          f"highest {max(samples):.0f}")


def restart(server, requests, expected, arguments):
    load, port, told = Load(server.port, requests, expected), server.port, []

    async def during():
        current = server
        for number in (signal.SIGTERM, signal.SIGKILL):
            await asyncio.sleep(arguments.seconds / 4)
            lost = load.lost
            status, last = await asyncio.to_thread(current.end, number)
            current = await asyncio.to_thread(Server, arguments.model, arguments.options, port)
            await asyncio.sleep(0.5)
            said = last if number == signal.SIGTERM else next(
                (line for line in current.log().splitlines() if "killed" in line), "nothing")
            told.append(f"{number.name}: exit {status}, {load.lost - lost} connections ended "
                        f"before their answer; it said: {said}")
        await asyncio.sleep(arguments.seconds / 4)
        return current

    async def run():
        task = asyncio.ensure_future(during())
        await load.run(8, task)
        return task.result()

    last = asyncio.run(run())
    print(f"restart under 8 clients: {len(load.seconds)} answers, {load.wrong} wrong, "
          f"{len(load.failed)} failed")
    print("\n".join(told))
    return last


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="file of ocr export or ocr train")
    parser.add_argument("--images", metavar="FOLDER", help="of line images")
    parser.add_argument("--lines", type=int, default=100, help="different images at most")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=20, help="for each number of clients")
    parser.add_argument("--soak", type=float, metavar="SECONDS")
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("options", nargs="*", metavar="OPTION", help="of ocr serve, after --")
    arguments = parser.parse_args()
    requests = [request_of(*line) for line in line_images(arguments.images, arguments.lines)]
    with tempfile.TemporaryDirectory() as folder:
        arguments.options += ["--state", os.path.join(folder, "state")]
        server = Server(arguments.model, arguments.options)
        try:
            expected = asyncio.run(reference(server.port, requests))
            print(f"{len(requests)} lines, {os.cpu_count()} cores, {arguments.model}")
            levels(server, requests, expected, arguments)
            if arguments.soak:
                soak(server, requests, expected, arguments.soak)
            if arguments.restart:
                server = restart(server, requests, expected, arguments)
            status, last = server.end()
            print(f"at the end: exit {status}; {last.split(' INFO ')[-1]}")
        finally:
            if server.process.poll() is None:
                server.process.kill()


if __name__ == "__main__":
    main()
