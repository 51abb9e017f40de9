"""KenLM's own programs, called as subprocesses: ``lmplz`` and ``build_binary``."""

import os
import re
import shutil
import subprocess
import tempfile

from .base.errors import ConfigError, LanguageModelError

__all__ = ["find_tool", "run_lmplz", "run_build_binary", "check_binary", "BINARY_TYPES"]

#: Data structures that ``build_binary`` makes.
BINARY_TYPES = ("trie", "probing")

_FALLBACK_NOTE = re.compile(r"Substituting fallback discounts for order (\d+)")


def find_tool(name, given=None):
    """Return the path of a KenLM program, or None.

    Parameters
    ----------
    name : str
        Looked for on PATH when `given` is None.
    given : str, optional
        The program itself, a path or a name on PATH.

    Raises
    ------
    ConfigError
        `given` is no program.
    """
    found = shutil.which(given or name)
    if given and not found:
        reason = "is not executable" if os.path.isfile(given) else "no such program"
        raise ConfigError(f"{given}: {reason} ({name})")
    return found


def _tail(errors):
    """Return the end of what a program wrote to stderr, as one line."""
    errors.seek(0)
    text = errors.read().decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return text, " / ".join(lines[-4:])[-800:] or "it printed no reason"


def _start(command, **streams):
    try:
        return subprocess.Popen(command, **streams)
    except OSError as error:
        raise LanguageModelError(f"{command[0]}: cannot be started ({error.strerror})") from None


def _check_exit(process, command, tail):
    code = process.returncode
    if code:
        how = f"was ended by signal {-code}" if code < 0 else f"failed with status {code}"
        raise LanguageModelError(f"{os.path.basename(command[0])} {how}: {tail}")


def _stop(process):
    process.kill()
    process.wait()


def _feed(stream, sentences):
    """Write the corpus to lmplz; False if lmplz closed its end before."""
    try:
        for tokens in sentences:
            stream.write((" ".join(tokens) + "\n").encode("utf-8"))
        stream.close()
    except BrokenPipeError:
        return False
    return True


def _replace_infinities(arpa):
    """Write -99 for the -inf that lmplz prints where no probability is left.

    KenLM itself refuses a backoff of -inf. This happens in odd, small corpora only.
    """
    with open(arpa, "rb") as source:
        if not any(_finite(line) != line for line in source):
            return
        source.seek(0)
        lines = [_finite(line) for line in source]
    with open(arpa, "wb") as out:
        out.writelines(lines)


def _finite(line):
    if line.startswith(b"-inf\t"):
        line = b"-99" + line[4:]
    if line.endswith(b"\t-inf\n"):
        line = line[:-5] + b"-99\n"
    return line


def run_lmplz(program, sentences, arpa, order, fallback=None, prune=(),
              interpolate_unigrams=True, memory="1G"):
    """Estimate a model with ``lmplz``, streaming the sentences to it.

    Parameters
    ----------
    program : str
        Path of ``lmplz``.
    sentences : iterable of list of str
        Read once, one sentence at a time.
    arpa : str
        File to write.
    order : int
    fallback : tuple of 3 floats or None
        Handed on as ``--discount_fallback``.
    prune : sequence of int
        Handed on as ``--prune``.
    interpolate_unigrams : bool
    memory : str
        lmplz's sorting memory, such as ``1G`` or ``20%``.

    Returns
    -------
    tuple of int
        Orders for which lmplz took the fallback discounts.

    Raises
    ------
    LanguageModelError
        lmplz cannot be started or fails; the end of its stderr is in the message.
    """
    command = [program, "-o", str(order), "-S", memory,
               "--interpolate_unigrams", str(int(interpolate_unigrams))]
    if prune:
        command += ["--prune", *map(str, prune)]
    if fallback is not None:
        command += ["--discount_fallback", *map(str, fallback)]
    # stderr goes to a file: nobody reads a pipe while the corpus is being written.
    with tempfile.TemporaryFile() as errors, open(arpa, "wb") as out:
        process = _start(command, stdin=subprocess.PIPE, stdout=out, stderr=errors)
        try:
            whole = _feed(process.stdin, sentences)
            process.wait()
        except BaseException:
            _stop(process)
            raise
        finally:
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass
        text, tail = _tail(errors)
    _check_exit(process, command, tail)
    if not whole:
        raise LanguageModelError(f"lmplz left before the end of the corpus: {tail}")
    _replace_infinities(arpa)
    return tuple(int(found) + 1 for found in _FALLBACK_NOTE.findall(text))


def check_binary(kind, quantise):
    """Raise `ConfigError` for a kind of binary that is not known or cannot be quantised so."""
    if kind not in (known := (*BINARY_TYPES, "none")):
        raise ConfigError(f"binary_type must be one of {', '.join(known)}, not {kind!r}")
    if quantise and kind == "probing":
        raise ConfigError(f"quantise needs the binary_type trie or none, not {kind!r}")
    if quantise and not 2 <= quantise <= 8:
        raise ConfigError(f"quantise must be 0 (not at all) or 2 to 8 bits, not {quantise}")


def run_build_binary(program, kind, arpa, binary, quantise=0):
    """Turn an ARPA file into a KenLM binary with ``build_binary``.

    Parameters
    ----------
    program : str
        Path of ``build_binary``.
    kind : {"trie", "probing"}
    arpa, binary : str
        File to read, file to write.
    quantise : int
        Bits for each probability and for each back-off weight of a trie; 0 keeps them whole.

    Raises
    ------
    LanguageModelError
        It cannot be started or fails; the end of its stderr is in the message.
    """
    options = []
    if quantise:
        # The links between orders are packed as well, which changes no figure.
        options = ["-q", str(quantise), "-b", str(quantise), "-a", "255"]
    command = [program, *options, kind, arpa, binary]
    with tempfile.TemporaryFile() as errors:
        process = _start(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        try:
            process.wait()
        except BaseException:
            _stop(process)
            raise
        _, tail = _tail(errors)
    _check_exit(process, command, tail)
    if not os.path.getsize(binary):
        raise LanguageModelError(f"{os.path.basename(program)} wrote nothing")
