# make run    trains the bundled sample and prints where the pictures are
# make test   runs all tests
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
TESTS ?=
DOSE ?= 2000

BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INPUTS = pyproject.toml constraints.txt

.PHONY: run test slow lint docs bench clean

run: $(VENV)/.installed
	$(BIN)/stem run stem4d-quick

test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(TESTS)

slow: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow $(TESTS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(VENV)/.installed-docs
	$(BIN)/python docs/reference.py --check
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.installed-test
	@test -n "$(SCAN)" || { echo "name a simulated scan with its truth: make bench SCAN=scan.h5 DOSE=2000"; exit 2; }
	$(BIN)/python benchmarks/denoising.py $(SCAN) --dose $(DOSE)

clean:
	rm -rf $(VENV) site build dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or later is needed: make PYTHON=python3.12 ..." if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python $(INPUTS)
	$(INSTALL) -e .
	touch $@

$(VENV)/.installed-%: $(BIN)/python $(INPUTS)
	$(INSTALL) -e '.[$*]'
	touch $@ $(VENV)/.installed
