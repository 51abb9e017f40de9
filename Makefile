# make demo: installs, trains on data it makes itself, prints a table, writes a gallery.
# make test: installs, runs all tests.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint install tools clean

# kenlm builds from source.
tools:
	@if ! command -v cmake >/dev/null || ! command -v g++ >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q && apt-get install -q -y cmake g++ make; \
	  else \
	    echo "cmake and g++ are needed to build kenlm: apt-get install cmake g++" >&2; exit 1; \
	  fi; \
	fi
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(0 if (3, 9) <= v <= (3, 11) else "MXNet 1.9 needs Python 3.9 to 3.11")'

$(VENV)/installed: setup.cfg pyproject.toml
	$(MAKE) tools
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade "setuptools<81" wheel
	$(BIN)/python -m pip install -q -e ".[cpu,dev]"
	touch $@

install: $(VENV)/installed

demo: install
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python experiments/demo.py

test: install
	$(BIN)/python -m pytest -q

lint: install
	$(BIN)/ruff check ocr lm tests experiments

clean:
	rm -rf $(VENV) demo build *.egg-info
