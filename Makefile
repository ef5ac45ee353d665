# Two commands matter: `make demo` and `make test`. Each sets up .venv by itself and needs nothing but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help setup demo test check tests faults bench quality docs lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

setup: .venv/ready  ## make .venv with the command footfall in it

.venv/ready: pyproject.toml requirements.lock scripts/setup
	@scripts/setup "$(PYTHON)"

.venv/ready-test: .venv/ready
	@scripts/setup "$(PYTHON)" test

demo: .venv/ready  ## score the customers of a web shop, end to end, in a few minutes
	@$(BIN)/footfall demo

test: .venv/ready-test check tests  ## every check and every test

check: .venv/ready-test  ## style, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

tests: .venv/ready-test  ## the tests alone
	$(BIN)/pytest -n 2 --dist worksteal  # contiguous halves: fixtures of a module are made once

faults: .venv/ready-test  ## the fault suite at length
	FOOTFALL_FAULTS=100 $(BIN)/pytest tests/faults -q -s

bench: .venv/ready-test  ## the benchmarks; needs Debian's package wrk
	$(BIN)/python benchmarks/api.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/compute.py
	$(BIN)/python benchmarks/behavior.py

quality: .venv/ready-test  ## the table of quality, on the data sets of FOOTFALL_QUALITY_DATA or on the one that is shipped
	$(BIN)/python benchmarks/quality.py --out docs/explanation/quality.md

docs: .venv/ready  ## write the generated reference pages anew
	PYTHONPATH=scripts $(BIN)/python -m reference.pages docs/reference

lock: .venv/ready-test  ## pin what is installed now
	scripts/lock > requirements.lock

clean:  ## remove what the commands above made
	rm -rf .venv .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
