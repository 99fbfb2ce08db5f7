# The two commands of the README are `make demo` and `make test`. Both need Python 3.11 and make, nothing else.
#
#   make demo ARGS="--for 60"    the whole flow on a simulated shop, live; ends by itself after 60 s
#   make test                    lint, types, import contracts, unit and integration tests on real servers
#   make lint                    the first three of them
#   make bench                   benchmarks against a floor in the same run
#   make chaos ARGS="--seed 7"   break everything during a replay of 100,000 events, and check that nothing was lost
#   make fuzz ARGS="--seconds 600"    fuzz the decoding of records, states and bundles
#   make up / make down          local Kafka and Cassandra
#   make lock                    resolve the locked requirements anew

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test lint bench fuzz up down lock clean
.DEFAULT_GOAL := demo

# Hashes pin every package, and no index is named: pip's own configuration says where they come from.
$(VENV)/installed: deploy/requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "make: saw $$($(PYTHON) --version 2>&1), expected Python 3.11; set PYTHON to it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing the locked packages into $(VENV): about 7 GB with the training part, a few minutes the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r deploy/requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/installed
	@exec $(BIN)/lastclick demo $(ARGS)

# Two processes: tests/conftest.py deals the tests out to them.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed
	$(BIN)/python -m tests.benchmarks $(ARGS)

fuzz: $(VENV)/installed
	$(BIN)/python -m tests.fuzz $(ARGS)

chaos: $(VENV)/installed
	@exec $(BIN)/python -m tests.chaos $(ARGS)

up: $(VENV)/installed
	@$(BIN)/lastclick up

down: $(VENV)/installed
	@$(BIN)/lastclick down

lock: $(VENV)/installed
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --quiet --output-file deploy/requirements/base.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --quiet --constraint deploy/requirements/base.txt --output-file deploy/requirements/dev.txt

clean:
	rm -rf $(VENV) .lastclick
