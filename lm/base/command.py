"""What the commands ``lm`` and ``ocr`` share: their words, settings, errors and exit status.

A command is a module with ``add_arguments(parser)`` and ``run(arguments)``. Each takes settings
in one way: ``--config FILE`` holds them as YAML, and ``key=value`` sets one, anywhere on the line.
They are those of the settings class that ``add_arguments`` names with `Parser.takes`, or else the
command's own options, by their names with ``_`` for ``-``. Options go before both.
"""

import argparse
import dataclasses
import importlib
import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NoReturn, Optional

from .errors import ConfigError, OCRError, did_you_mean, one_line
from .files import check_writable
from .signals import Interrupted
from .version import __version__

__all__ = ["Parser", "UsageError", "make_parser", "output_file", "output_folder", "run_command",
           "settings_of"]

_OVERRIDE = re.compile(r"([A-Za-z_]\w*)(?:\.\w+)*=", re.ASCII)
_NEGATIVE = re.compile(r"-\d+$|-\d*\.\d+$")


class UsageError(OCRError):
    """A command line that is none of the command's."""


class Parser(argparse.ArgumentParser):
    """argparse whose errors are raised, and whose help lists the settings."""

    #: Function that returns the settings class of ``--config``; None: the options themselves.
    settings: Optional[Callable[[], type]] = None

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.formatter_class = argparse.RawDescriptionHelpFormatter

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")

    def takes(self, settings: Callable[[], type]) -> None:
        """Have ``--config`` and ``key=value`` fill the class that `settings` returns."""
        self.settings = settings

    def print_help(self, file: Any = None) -> None:
        # argparse's own passes over what cannot be written.
        print(self.format_help(), end="", file=file)

    def format_help(self) -> str:
        text = super().format_help()
        if self.settings is None:
            return text
        from .settings import describe, listed

        return (f"{text}\nsettings (in the YAML file of --config, or as key=value):\n"
                f"{listed(describe(self.settings()))}\n")

    def options(self) -> dict:
        """Return {name: argparse action} of what can be set by name."""
        return {a.dest: a for a in self._actions if a.dest not in ("help", "config")}

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse a command line; ``overrides`` are its ``key=value`` words."""
        options, positionals, overrides = self._sort(words)
        config = self._config(options)
        if self.settings is None:
            self._set_defaults(config, overrides)
        arguments = self.parse_args([*options, *(["--", *positionals] if positionals else [])])
        arguments.overrides = overrides
        return arguments

    def _sort(self, words):
        """Return options with their values, the other words, and ``key=value`` words."""
        options, positionals, overrides = [], [], []
        names, wanted, open_end = None, 0, False
        for number, word in enumerate(words):
            if word == "--":
                positionals += words[number + 1:]
                break
            if word.startswith("-") and word != "-" and not (wanted and _NEGATIVE.match(word)):
                options.append(word)
                wanted, open_end = (0, False) if "=" in word else self._values(word)
                continue
            match = _OVERRIDE.match(word) if wanted < 1 or open_end else None
            if match and names is None:
                names = self._names()
            # Behind an option that takes any number of values only what is surely meant.
            if match and wanted < 1 and (
                    match[1] in names or not (open_end or os.path.exists(word))):
                overrides.append(word)
            elif wanted >= 1 or open_end:
                options.append(word)
                wanted -= 1
            else:
                positionals.append(word)
        return options, positionals, overrides

    def _values(self, word):
        """Return how many values an option needs, and whether it takes more."""
        found = [a for name, a in self._option_string_actions.items()
                 if name == word] or [a for name, a in self._option_string_actions.items()
                                      if name.startswith(word)]
        count = found[0].nargs if found else 0
        if count is None:
            return 1, False
        return (count, False) if isinstance(count, int) else (1, count in ("+", "*"))

    def _names(self):
        if self.settings is None:
            return set(self.options())
        return {field.name for field in dataclasses.fields(self.settings())}

    def _config(self, options):
        finder = Parser(add_help=False, allow_abbrev=False)
        finder.add_argument("--config")
        try:
            return finder.parse_known_args(options)[0].config
        except UsageError:  # --config without a value, which parsing tells
            return None

    def _set_defaults(self, path, overrides):
        """Make the file's and the overrides' values the options' defaults."""
        if path is None and not overrides:
            return
        from .settings import apply_overrides, read_yaml

        actions = self.options()
        for key, value in apply_overrides(read_yaml(path) if path else {}, overrides).items():
            if key not in actions:
                raise ConfigError(f"unknown setting {key!r}{did_you_mean(key, actions)}; "
                                  f"known: {', '.join(sorted(actions))}")
            if value is None:
                continue
            action = actions[key]
            action.default, action.required = _option_value(action, key, value), False
            if action.nargs == "+":
                action.nargs = "*"


def _option_value(action, key, value):
    """Return what an option's value in YAML stands for; `ConfigError` names the option."""
    if action.nargs == 0:
        if not isinstance(value, bool) and action.const in (True, False, None):
            raise ConfigError(f"{key}: expected true or false, not {value!r}")
        return value

    def one(item):
        if isinstance(item, (dict, list, bool)) or item is None:
            raise ConfigError(f"{key}: expected a text or a number, not {item!r}")
        try:
            item = action.type(str(item)) if action.type else str(item)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise ConfigError(f"{key}: {error}") from None
        if action.choices is not None and item not in action.choices:
            raise ConfigError(f"{key}: unknown value {item!r}{did_you_mean(item, action.choices)}; "
                              f"known: {', '.join(map(str, action.choices))}")
        return item

    if action.nargs in ("+", "*") or isinstance(action.nargs, int) or isinstance(
            action, argparse._AppendAction):
        return [one(item) for item in (value if isinstance(value, list) else [value])]
    return one(value)


def output_file(path: str) -> str:
    """Argument type: a file to write; what cannot be written is told before any work."""
    try:
        check_writable(path)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return path


def output_folder(path: str) -> str:
    """Argument type: a folder to write files into, as `output_file`."""
    output_file(os.path.join(path, "report.json"))
    return path


def settings_of(arguments: argparse.Namespace, cls: type, **options: Any) -> Any:
    """Return the settings that a command line gives.

    Parameters
    ----------
    arguments : argparse.Namespace
        With ``config`` (path or None), ``overrides``, and options, of which those that are given
        and are called as a setting go before the file and the overrides.
    cls : type
        The settings class.
    **options
        Settings that go before all others.
    """
    from .settings import apply_overrides, from_mapping, read_yaml

    names = [field.name for field in dataclasses.fields(cls)]
    given = {name: value for name, value in vars(arguments).items()
             if name in names and value is not None and value != []}
    path = getattr(arguments, "config", None)
    mapping = apply_overrides(read_yaml(path) if path else {}, arguments.overrides)
    return from_mapping(cls, {**mapping, **given, **options})


def make_parser(prog: str, name: str, module: str) -> Parser:
    """Return the parser of the command `name`, whose arguments a module adds."""
    command = importlib.import_module(module)
    parser = Parser(prog=f"{prog} {name}", description=command.__doc__)
    command.add_arguments(parser)
    if not any(action.dest == "config" for action in parser._actions):
        what = "settings" if parser.settings else "these options, by name with _ for -"
        parser.add_argument("--config", metavar="YAML", help=f"file of {what}; the command line "
                            "goes before, also as key=value")
    parser.set_defaults(run=command.run, command=name)
    return parser


def _overview(prog, description, commands):
    width = max(map(len, commands)) + 2
    rows = "\n".join(f"  {name:{width}}{summary}" for name, (_, summary) in commands.items())
    return (f"usage: {prog} COMMAND ...\n\n{description}\n\n{rows}\n\n"
            f"{prog} COMMAND --help tells more; {prog} --version the version.")


def _dispatch(prog, description, commands, words, aliases):
    if not words or words[0] in ("-h", "--help"):
        print(_overview(prog, description, commands))
        return 0
    if words[0] == "--version":
        print(f"{prog} {__version__}")
        return 0
    name = aliases.get(words[0], words[0])
    if name not in commands:
        kind = "option" if name.startswith("-") else "command"
        raise UsageError(f"unknown {kind} {name!r}{did_you_mean(name, commands)}; known: "
                         f"{', '.join(commands)} (see: {prog} --help)")
    try:
        arguments = make_parser(prog, name, commands[name][0]).parse(words[1:])
        return arguments.run(arguments) or 0
    except SystemExit as leave:  # --help
        return leave.code or 0


def run_command(prog: str, description: str, commands: Mapping[str, tuple[str, str]],
                words: Optional[Sequence[str]] = None,
                aliases: Optional[Mapping[str, str]] = None) -> int:
    """Run a command line; whatever goes wrong is told in one line on standard error.

    Parameters
    ----------
    prog, description : str
    commands : mapping
        Name -> (module, summary).
    words : list of str, optional
        ``sys.argv[1:]`` by default.
    aliases : mapping, optional
        Other names of commands.

    Returns
    -------
    int
        0: done; 2: an error of usage, settings, data or the system; 128 + N: stopped by signal N
        (130: Ctrl-C) after saving what there was to save.
    """
    def tell(message):
        try:
            if sys.stderr is not None:
                print(f"{prog}: {one_line(message)}", file=sys.stderr, flush=True)
        except OSError:
            _silence(sys.stderr)

    def show_warning(message, category, filename, lineno, file=None, line=None):
        # Ours are for the user; other packages' are about their own code.
        if category is UserWarning and {"ocr", "lm"} & set(filename.split(os.sep)):
            tell(f"warning: {message}")

    before, warnings.showwarning = warnings.showwarning, show_warning
    try:
        if getattr(sys.stdout, "errors", "") == "strict" and hasattr(sys.stdout, "reconfigure"):
            # File names that are not UTF-8 are printed as they are.
            sys.stdout.reconfigure(errors="surrogateescape")
        status = _dispatch(prog, description, commands, list(sys.argv[1:] if words is None
                                                             else words), aliases or {})
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except Interrupted as stop:
        tell(stop)
        return 128 + stop.number
    except KeyboardInterrupt:
        tell("stopped")
        return 130
    except BrokenPipeError:
        # The reader of our output, `head` perhaps, has enough.
        return 0
    except UnicodeEncodeError as error:
        tell(f"error: {error.object[error.start:error.end][:20]!r} cannot be written as "
             f"{error.encoding}; PYTHONIOENCODING=utf-8 says that the terminal takes UTF-8")
        return 2
    except OSError as error:
        named = error.strerror and not isinstance(error, OCRError)
        where = f"{os.fsdecode(error.filename)}: " if named and error.filename else ""
        tell(f"error: {where}{error.strerror}" if named else f"error: {error}")
        return 2
    except OCRError as error:
        tell(f"error: {error}")
        return 2
    except MemoryError:
        tell("error: not enough memory")
        return 2
    finally:
        warnings.showwarning = before
        _silence(sys.stdout)


def _silence(stream):
    """Send what a stream cannot write to nowhere, or Python itself fails when it ends."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError):
            pass
