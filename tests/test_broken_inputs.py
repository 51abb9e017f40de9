"""A few broken files of every kind; experiments/broken_inputs.py reads thousands."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "experiments" / "broken_inputs.py"
SPEC = importlib.util.spec_from_file_location("broken_inputs", SCRIPT)
broken_inputs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(broken_inputs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", broken_inputs.FAMILIES)
def test_no_traceback_no_hang_no_silent_change(family):
    told = []
    assert broken_inputs.run_family(family, 8, 3, say=told.append) == 0, "\n".join(told)


def test_what_fails_is_told(monkeypatch):
    class Careless(broken_inputs.Json):
        def read(self, case):
            raise KeyError("characters")

    monkeypatch.setitem(broken_inputs.FAMILIES, "careless", Careless)
    told = []
    assert broken_inputs.run_family("careless", 2, 3, say=told.append) == 2
    assert "careless 1: KeyError" in told[1] and told[2] == "careless: 2 broken, 2 failed"
