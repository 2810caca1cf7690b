# Each target bootstraps .venv by itself and can be the first command on a fresh machine with Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help venv demo test conformance chaos lint types layers bench bench-pipelines soak clean format
.DEFAULT_GOAL := help

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mainstem needs Python 3.11 or newer; run: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --upgrade pip --constraint constraints.txt
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

venv: $(STAMP) ## set up .venv with everything the other targets need

demo: $(STAMP) ## run the main job: a month of real flights through the embedded broker
	@$(BIN)/python examples/flights/pipeline.py

test: $(STAMP) ## run the tests (Python only, under 10 minutes)
	@$(BIN)/python -m pytest -q -n 2 -m 'not conformance'

conformance: $(STAMP) ## run the tests that need Java, Go, Node, Redis, NATS, ZooKeeper or a browser
	@$(BIN)/python -m pytest -q -m conformance tests/conformance tests/plugins/transport_redis tests/plugins/transport_nats

chaos: $(STAMP) ## exactly-once under kill -9, 200 runs in at most 30 minutes; goes on where it was stopped
	@$(BIN)/python tests/chaos/chaos.py

lint: $(STAMP) ## ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP) ## let ruff rewrite the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

types: $(STAMP) ## mypy --strict
	@$(BIN)/mypy

layers: $(STAMP) ## import-linter
	@$(BIN)/lint-imports

bench: $(STAMP) ## measure against Apache Kafka 4.1 in the same run
	@$(BIN)/python benchmarks/bench.py

PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.installed

$(PEERS_STAMP): benchmarks/pipelines/peers.txt
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "Setting up $(PEERS) (once)"
	@$(PEERS)/bin/python -m pip install --quiet --requirement benchmarks/pipelines/peers.txt
	@touch $(PEERS_STAMP)

bench-pipelines: $(STAMP) $(PEERS_STAMP) ## measure pipelines beside Quix Streams, Bytewax and Faust in the same run
	@$(BIN)/python benchmarks/pipelines/bench_pipelines.py

soak: $(STAMP) ## ten minutes at full load: resident memory must not grow
	@$(BIN)/python benchmarks/soak.py

clean: ## remove what the other targets made
	rm -rf $(VENV) $(PEERS) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
