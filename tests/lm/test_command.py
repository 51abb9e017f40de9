"""The part of the commands `lm` and `ocr` that both share."""

import sys
import types
from dataclasses import dataclass

import pytest

from lm.base.command import make_parser, run_command, settings_of
from lm.base.errors import ConfigError, DataError


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes
    ----------
    name : str
        What it is called.
    size : int
        How large it is.
    """

    name: str = "x"
    size: int = 3


@pytest.fixture
def commands(monkeypatch):
    """Two commands: ``read`` has options of its own, ``work`` the settings of `Job`."""
    def module(name, add_arguments, run):
        made = types.ModuleType(name, "Does it.")
        made.add_arguments, made.run = add_arguments, run
        monkeypatch.setitem(sys.modules, name, made)
        return name, "does it"

    def read(parser):
        parser.add_argument("images", nargs="+")
        parser.add_argument("--count", type=int, default=1)
        parser.add_argument("--words", nargs="+")
        parser.add_argument("--kind", choices=("a", "b"), default="a")
        parser.add_argument("--set", action="append", default=[])
        parser.add_argument("--flag", action="store_true")

    def work(parser):
        parser.add_argument("folder", nargs="?")
        parser.add_argument("--size", type=int)
        parser.add_argument("--words", nargs="+")
        parser.takes(lambda: Job)

    return {"read": module("cmd_read", read, print), "work": module("cmd_work", work, print)}


def parsed(commands, name, *words):
    return make_parser("tool", name, commands[name][0]).parse(words)


@pytest.mark.parametrize("words", [
    "size=4 folder --words a b", "folder --words a b size=4", "--words a b size=4 -- folder",
    "folder size=4 --words a b", "--words a size=4 b -- folder"])
def test_key_and_value_stand_anywhere(commands, words):
    arguments = parsed(commands, "work", *words.split())
    assert arguments.overrides == ["size=4"] and arguments.folder == "folder"
    assert arguments.words == ["a", "b"]
    assert settings_of(arguments, Job) == Job(size=4)


def test_what_looks_like_a_setting_may_be_a_value(commands, tmp_path, monkeypatch):
    # Of an option that takes one; first of an option that takes many; of no known name there.
    arguments = parsed(commands, "work", "--words", "size=4", "y=5", "size=6")
    assert (arguments.words, arguments.overrides) == (["size=4", "y=5"], ["size=6"])
    arguments = parsed(commands, "read", "a.png", "--set", "count=4", "b.png", "--count", "-2")
    assert (arguments.set, arguments.images, arguments.count) == (
        ["count=4"], ["a.png", "b.png"], -2)
    # A file that is there, and what stands behind --.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.png").write_text("")
    assert parsed(commands, "read", "a=b.png", "--", "count=3").images == ["a=b.png", "count=3"]
    with pytest.raises(ConfigError, match="unknown setting 'siz' .did you mean 'size'"):
        settings_of(parsed(commands, "work", "siz=3"), Job)
    with pytest.raises(ConfigError, match="unknown setting 'cont' .did you mean 'count'"):
        parsed(commands, "read", "a.png", "cont=3")


def test_options_go_before_key_and_value_and_these_before_the_file(commands, tmp_path):
    (tmp_path / "c.yaml").write_text("size: 5\nname: file\n")
    config = ("--config", str(tmp_path / "c.yaml"))
    assert settings_of(parsed(commands, "work", *config), Job) == Job("file", 5)
    assert settings_of(parsed(commands, "work", "size=6", *config), Job) == Job("file", 6)
    arguments = parsed(commands, "work", "size=6", *config, "--size", "7")
    assert settings_of(arguments, Job) == Job("file", 7)
    assert settings_of(arguments, Job, size=8).size == 8
    (tmp_path / "c.yaml").write_text("count: 5\nimages: a.png\nflag: true\nset: [a, b]\n")
    arguments = parsed(commands, "read", *config, "kind=b")
    assert (arguments.images, arguments.count, arguments.flag, arguments.set, arguments.kind) == (
        ["a.png"], 5, True, ["a", "b"], "b")
    assert parsed(commands, "read", *config, "--count", "2", "c.png").images == ["c.png"]


@pytest.mark.parametrize("text, message", [
    ("count: many", "count: .*many"), ("kind: c", "kind: unknown value 'c'; known: a, b"),
    ("count: [1]", "count: expected a text or a number"), ("flag: 3", "flag: expected true or"),
    ("count: true", "count: expected a text or a number"), ("images: [{}]", "images: expected")])
def test_options_of_a_wrong_kind(commands, tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        parsed(commands, "read", "a.png", "--config", str(tmp_path / "c.yaml"))


def test_the_help_tells_the_settings(commands, capsys):
    assert run_command("tool", "Does.", commands, ["work", "--help"]) == 0
    assert "size = 3    int\n    How large it is." in capsys.readouterr().out
    assert run_command("tool", "Does.", commands, []) == 0
    assert capsys.readouterr().out.startswith("usage: tool COMMAND ...\n\nDoes.\n\n  read  does")


@pytest.mark.parametrize("error, status, told", [
    (DataError("a\rb\n" + "x" * 3000), 2, r"tool: error: a\rb\nxxx"),
    (OSError(28, "No space left", "f.txt"), 2, "tool: error: f.txt: No space left"),
    (OSError("odd"), 2, "tool: error: odd"),
    (UnicodeEncodeError("ascii", "aé", 1, 2, "no"), 2, "tool: error: 'é' cannot be written as asc"),
    (MemoryError(), 2, "tool: error: not enough memory"),
    (KeyboardInterrupt(), 130, "tool: stopped")])
def test_what_goes_wrong_is_one_line(commands, capsys, monkeypatch, error, status, told):
    def fail(arguments):
        raise error

    monkeypatch.setattr(sys.modules["cmd_read"], "run", fail)
    assert run_command("tool", "Does.", commands, ["read", "x"]) == status
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(told) and err.count("\n") == 1 and len(err) < 400


@pytest.mark.parametrize("words, told", [
    (["raed"], "unknown command 'raed' (did you mean 'read'?); known: read, work"),
    (["--fast"], "unknown option '--fast'"), (["read"], "required: images"),
    (["read", "x", "--nope"], "unrecognized arguments: --nope (see: tool read --help)"),
    (["work", "x", "--config"], "--config: expected one argument")])
def test_words_that_are_none(commands, capsys, words, told):
    assert run_command("tool", "Does.", commands, words) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1
