"""API keys: hashes in a file, limits, the command that makes one."""

import hashlib
import os
import time

import pytest

from lm.base.errors import ConfigError, MissingDataError
from ocr.cli.main import main
from ocr.serving.errors import Busy, Unauthorised
from ocr.serving.keys import Keys, add_key, read_keys

from .conftest import png


def test_the_command_makes_keys_and_keeps_hashes_alone(tmp_path, capsys):
    file = tmp_path / "keys"
    for name in ("alice", "bob"):
        assert main(["serve", "--keys", str(file), "--new-key", name]) == 0
    first, second = capsys.readouterr().out.split()
    text = file.read_text()
    assert len(first) > 40 and first != second and first not in text and second not in text
    assert read_keys(str(file))["alice"] == (hashlib.sha256(first.encode()).digest(), None)
    assert main(["serve", "--keys", str(file), "--new-key", "bob"]) == 2
    assert "'bob' already" in capsys.readouterr().err and file.read_text() == text
    assert main(["serve", "--new-key", "bob"]) == 2
    assert main(["serve", "--keys", str(file), "--new-key", "a b"]) == 2


@pytest.mark.parametrize("line", ["alice", "alice abc", "alice " + "0" * 62, "a " + "0" * 64 + " x",
                                  "a " + "0" * 64 + " -1", "a " + "0" * 64 + " 1 2",
                                  "a " + "0" * 64 + " nan"])
def test_broken_files_of_keys_are_named_with_the_line(tmp_path, line):
    file = tmp_path / "keys"
    file.write_text(f"# keys\n\nok {'0' * 64} 5\n{line}\n")
    with pytest.raises(ConfigError, match="keys, line 4: expected NAME"):
        read_keys(str(file))


def test_files_of_keys(tmp_path):
    with pytest.raises(MissingDataError, match="no such file"):
        Keys(str(tmp_path / "none"))
    file = tmp_path / "keys"
    file.write_text(f"a {'0' * 64} # one\na {'1' * 64}\n")
    with pytest.raises(ConfigError, match="line 2: the name 'a' stands twice"):
        read_keys(str(file))


def test_requests_need_a_key(running, tmp_path):
    file = str(tmp_path / "keys")
    key, other = add_key(file, "alice"), add_key(file, "bob")
    client, _ = running(keys=file)
    paths = ("/v1/models", "/v1/models/half", "/info", "/metrics", "/jobs")
    for headers in ({}, {"X-API-Key": key[:-1]}, {"Authorization": "Bearer x"},
                    {"Authorization": f"Basic {key}"}, {"X-API-Key": "\u00e9"}):
        for path in paths:
            answer = client.get(path, headers=headers)
            assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
            assert "API key" in answer.error and key not in answer.error
    assert client.recognise(png("a")).status == 401
    for path in ("/", "/docs", "/openapi.json", "/healthz", "/readyz"):
        assert client.get(path).status == 200
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        assert all(client.get(path, headers=headers).status == 200 for path in paths)
    # One's jobs are nobody else's.
    sent = client.send("POST", "/jobs?lines=one", png("abc"),
                       {"X-API-Key": key, "Content-Type": "image/png"})
    assert sent.status == 202
    path = sent.headers["location"]
    assert client.get(path, headers={"X-API-Key": key}).status == 200
    assert client.get(path, headers={"X-API-Key": other}).status == 404
    assert client.get("/jobs", headers={"X-API-Key": other}).json == {"jobs": []}
    schemes = client.get("/openapi.json").json["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"apiKey", "http"}


def test_keys_are_taken_in_and_out_while_it_runs(running, tmp_path):
    file = tmp_path / "keys"
    key = add_key(str(file), "alice")
    client, _ = running(keys=str(file))
    other = add_key(str(file), "bob")
    headers = [{"X-API-Key": key}, {"X-API-Key": other}]
    assert [client.get("/info", headers=h).status for h in headers] == [200, 200]
    kept = file.read_text()
    file.write_text("broken")
    os.utime(file, ns=(1, 1))
    assert [client.get("/info", headers=h).status for h in headers] == [200, 200]
    file.write_text(kept.splitlines()[1])
    os.utime(file, ns=(2, 2))
    assert [client.get("/info", headers=h).status for h in headers] == [401, 200]


def test_rates(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    file = tmp_path / "keys"
    keys = {name: add_key(str(file), name) for name in ("slow", "usual", "free")}
    lines = file.read_text().splitlines()
    file.write_text(f"{lines[0]} 2\n{lines[1]}\n{lines[2]} 0\n")
    door = Keys(str(file), rate=60)
    for name, most in (("slow", 2), ("usual", 60)):
        for _ in range(most):
            assert door.check(keys[name], "x") == name
        with pytest.raises(Busy, match="requests a minute") as refused:
            door.check(keys[name], "x")
        assert refused.value.headers["Retry-After"] == ("30" if name == "slow" else "1")
        # What is not counted passes, and refusals cost nothing.
        assert door.check(keys[name], "x", counted=False) == name
    for _ in range(500):
        door.check(keys["free"], "x")
    now[0] += 30
    door.check(keys["slow"], "x")
    with pytest.raises(Busy):
        door.check(keys["slow"], "x")
    with pytest.raises(Unauthorised):
        door.check(None, "x")


def test_without_keys_addresses_are_counted(running):
    client, _ = running(rate=2)
    assert [client.recognise(png("a"), query="?lines=one").status for _ in range(3)] \
        == [200, 200, 429]
    assert client.get("/info").status == 200
    door = Keys(None, rate=1)
    for address in ("a", "b", "c"):
        assert door.check(None, address) is None
