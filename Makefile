# From a fresh machine to a result with one command. `make` alone lists the targets.

PYTHON ?= python3
JOBS ?= 3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-faults check bench clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: setup ## from nothing to a calibrated example taskset and its report
	@$(BIN)/taskcal doctor --fix
	@$(BIN)/taskcal run tasksets/shop.yaml --group-size 8

test: check ## the checks, then every test but the long ones; container tests need an engine and never skip
	@$(BIN)/taskcal doctor --fix
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m "not long"

check: setup ## linter, formatter and type checker
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy

bench: setup ## the measurements of tests/bench, one after the other
	@$(BIN)/taskcal doctor --fix
	@set -e; for script in tests/bench/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean: ## remove .venv, caches, runs, and the containers of dead runs
	@if [ -x $(BIN)/taskcal ]; then $(BIN)/taskcal clean || echo "containers were left as they are"; fi
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis runs build dist *.egg-info
	@find taskcal tests tasksets -type d -name __pycache__ -prune -exec rm -rf {} +

test-all: check ## as test, with the long ones
	@$(BIN)/taskcal doctor --fix
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m "not alone"
	@$(BIN)/pytest -m alone

test-faults: setup ## kills, signals, full disks, restarted engines, hostile input, a soak; over an hour
	@$(BIN)/taskcal doctor --fix
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m "not alone" tests/faults
	@$(BIN)/pytest -m alone tests/faults

setup: $(STAMP) ## make .venv and install taskcal with its tools into it
	@:

# The stamp makes every later call quick; a changed pyproject.toml installs again.
$(STAMP): pyproject.toml
	@$(ensure_python)
	@echo "setup: installing into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Debian keeps venv's other half in a package of its own.
PYTHON_PACKAGES := python3 python3-venv
define ensure_python
if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	install="apt-get update && apt-get install -y $(PYTHON_PACKAGES)"; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "setup: $(PYTHON) cannot make a virtual environment; on Debian or Ubuntu run: sudo sh -c '$$install'" >&2; exit 3; \
	fi; \
	echo "setup: installing $(PYTHON_PACKAGES)"; \
	apt-get -qq update; \
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $(PYTHON_PACKAGES) >/dev/null || { echo "setup: run: $$install" >&2; exit 3; }; \
fi; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "setup: taskcal needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=python3.12 …" >&2; exit 3; }
endef
