import os
import pathlib
import stat
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

# What the stand-ins for lmplz print: a model that KenLM reads, of the order asked for.
TINY_ARPA = """\\data\\
ngram 1=4
ngram 2=3

\\1-grams:
-1\t<unk>\t0
0\t<s>\t-0.3
-0.5\t</s>\t0
-0.4\ta\t-0.3

\\2-grams:
-0.2\t<s> a
-0.2\ta a
-0.3\ta </s>

\\end\\
"""

_LMPLZ = """\
import sys
text = sys.stdin.buffer.read()
with open({log!r}, "wb") as out:
    out.write(" ".join(sys.argv[1:]).encode() + b"\\n" + text)
print("Substituting fallback discounts for order 0: D1=0.5 D2=1 D3+=1.5", file=sys.stderr)
sys.stdout.write({arpa!r})
"""


@pytest.fixture
def script(tmp_path):
    """Write an executable Python script and return its path."""
    def write(name, body):
        path = tmp_path / "tools" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable}\n{body}", "utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)
    return write


@pytest.fixture
def fake_lmplz(script, tmp_path):
    """A stand-in for lmplz that notes its arguments and input in ``lmplz.log``."""
    def write(arpa=TINY_ARPA):
        return script("lmplz", _LMPLZ.format(log=str(tmp_path / "lmplz.log"), arpa=arpa))
    return write


@pytest.fixture
def no_tools(monkeypatch, tmp_path):
    """A PATH without KenLM's programs."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@pytest.fixture
def environment():
    """Environment for ``python -m lm`` in any folder."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONDONTWRITEBYTECODE": "1"}
