# make demo: installs, trains on data it makes itself, prints a table, writes a gallery.
# make test: installs, runs all tests.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint install tools clean

# kenlm builds from source: it takes cmake, a C++ compiler and Python's headers.
HEADERS := import os, sys, sysconfig; \
  sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))
tools:
	@if ! command -v cmake >/dev/null || ! command -v g++ >/dev/null \
	    || ! $(PYTHON) -c '$(HEADERS)' || ! $(PYTHON) -c 'import ensurepip'; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q && apt-get install -q -y cmake g++ make python3-dev python3-venv; \
	  else \
	    echo "needed: apt-get install cmake g++ python3-dev python3-venv" >&2; exit 1; \
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
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo build *.egg-info
