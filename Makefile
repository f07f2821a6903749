# `make demo`, `make test`, `make lint` and `make docs` do all the set-up themselves: a virtual
# environment with the versions in constraints.txt. `make test-oldest` makes another one, with those
# in constraints-lowest.txt.

PYTHON ?= python3
PYTHON_OLDEST ?= python3.10
VENV ?= .venv
VENV_OLDEST ?= .venv-oldest
BIN = $(VENV)/bin

# Further arguments of pytest, such as PYTEST_ARGS="-m 'not slow' tests/network".
PYTEST_ARGS ?=
PYTEST = pytest -n auto --dist worksteal $(PYTEST_ARGS)
# One worker for each core, and one thread for each worker. One thread is also faster at these sizes.
THREADS = OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

# What mypy checks.
TYPED = inforeg_sk/functional inforeg_sk/methods inforeg_sk/classifier.py inforeg_sk/regressor.py

.PHONY: demo test test-oldest lint docs linkcheck package gpu clean

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

$(VENV_OLDEST)/.ready: pyproject.toml constraints-lowest.txt
	$(PYTHON_OLDEST) -m venv $(VENV_OLDEST)
	$(VENV_OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints-lowest.txt -e ".[tests]"
	touch $@

demo: $(VENV)/.ready
	$(THREADS) $(BIN)/python examples/plot_diagnosis.py

test: $(VENV)/.ready
	$(THREADS) $(BIN)/python -m $(PYTEST)

test-oldest: $(VENV_OLDEST)/.ready
	$(THREADS) $(VENV_OLDEST)/bin/python -m $(PYTEST)

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy $(TYPED)

# The pages, in docs/_build/html. A warning is an error, and so is an example that fails. Without the
# examples: make docs SPHINX_ARGS="-D plot_gallery=0".
SPHINX_ARGS ?=
SPHINX = $(THREADS) $(BIN)/python -m sphinx -W --keep-going $(SPHINX_ARGS)

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

docs: $(VENV)/.docs
	$(SPHINX) -b html docs docs/_build/html

# Asks each address that the pages name; it needs the network, and publishers are slow.
linkcheck: $(VENV)/.docs
	$(SPHINX) -D plot_gallery=0 -b linkcheck docs docs/_build/linkcheck

# Both distributions, their metadata, and the wheel in an empty environment.
package: $(VENV)/.ready
	rm -rf build dist
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[release]"
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv build/empty
	build/empty/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	cd build && $(THREADS) empty/bin/python ../tests/wheel.py

# On a GPU, in at most 6 minutes. It makes no environment: on a machine that has torch, say
# `make gpu GPU_PYTHON=/usr/bin/python3`, with PYTHONPATH for what is missing there.
GPU_PYTHON ?= $(firstword $(wildcard $(BIN)/python) $(PYTHON))
gpu:
	$(GPU_PYTHON) benchmarks/gpu.py $(GPU_ARGS)

clean:
	rm -rf $(VENV) $(VENV_OLDEST) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	rm -rf docs/_build docs/generated
