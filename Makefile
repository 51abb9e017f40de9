# make demo: installs, trains on data it makes itself, prints a table, writes a gallery.
# make test: installs, runs all tests.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint install tools test-tools clean

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
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -q

# What some tests need besides: a browser, KenLM's own programs, PyTorch. Without it they skip.
test-tools: $(BIN)/lmplz
	@command -v chromium >/dev/null || { apt-get update -q && apt-get install -q -y chromium; }
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/python -m pip install -q torch==2.13.0

# Built from kenlm's source package, which holds them; its wheel does not.
BOOST := libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev
$(BIN)/lmplz: | $(VENV)/installed
	@dpkg -s $(BOOST) >/dev/null 2>&1 || { apt-get update -q && apt-get install -q -y $(BOOST); }
	rm -rf build/kenlm && mkdir -p build/kenlm/build
	$(BIN)/python -m pip download -q --no-deps --no-build-isolation --no-binary :all: -d build/kenlm "kenlm<0.4"
	tar xzf build/kenlm/kenlm-*.tar.gz -C build/kenlm --strip-components 1
	cd build/kenlm/build && cmake .. -DKENLM_MAX_ORDER=6 -DBUILD_TESTING=OFF >/dev/null \
	  && $(MAKE) lmplz build_binary >/dev/null
	cp build/kenlm/build/bin/build_binary build/kenlm/build/bin/lmplz $(BIN)/

lint: install
	$(BIN)/ruff check ocr lm tests experiments
	$(BIN)/lint-imports
	$(BIN)/mypy

clean:
	rm -rf $(VENV) demo build *.egg-info
