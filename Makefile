# `make demo` and `make test` do all the set-up themselves: a virtual environment with what the
# suite was run with (constraints.txt).

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# One thread: faster at these sizes, and two processes do not fight for the cores.
THREADS = OMP_NUM_THREADS=1

.PHONY: demo test lint clean

$(VENV)/.ready: setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[tests]"
	touch $@

demo: $(VENV)/.ready
	$(THREADS) $(BIN)/python examples/plot_quickstart.py

test: $(VENV)/.ready
	$(BIN)/python -m pytest

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) build dist *.egg-info
