# Every target makes what it needs. PYTHON names the interpreter that .venv is made with.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
VLLM := .vllm
AGENTS := .agents
# How many processes run the suite: auto (twice the processors; one for a few files), or a number.
TEST_WORKERS ?= auto

.PHONY: run test test-long check format bench bench-fleet torture demo test-vllm test-agents

run: $(RUN)
	$(BIN)/python manage.py serve

# Each worker collects the suite: with the bytecode on disk, in half of the time.
test test-long: export PYTHONDONTWRITEBYTECODE :=
test: $(DEV)
	$(BIN)/pytest -n $(TEST_WORKERS) $(PYTEST_ARGS)

test-long: $(DEV)
	$(BIN)/pytest -n $(TEST_WORKERS) -m hypothesis --hypothesis-profile=long --timeout=3600 $(PYTEST_ARGS)

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run
	AURORA_PUBLIC_URL=https://aurora.example $(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(RUN) $(VLLM)/.ready
	$(BIN)/python -m scripts.demo $(DEMO_ARGS)

test-vllm: $(DEV) $(VLLM)/.ready
	$(BIN)/pytest tests/vllm $(PYTEST_ARGS)

# Without npm nothing is installed, and the tests say that they were not run.
test-agents: $(DEV) $(if $(shell command -v npm),$(AGENTS)/.ready)
	$(BIN)/pytest tests/agents $(PYTEST_ARGS)

bench: $(DEV)
	$(BIN)/python -m bench $(BENCH_ARGS)

bench-fleet: $(DEV)
	$(BIN)/python -m bench.fleet $(BENCH_ARGS)

# On a PostgreSQL server; TORTURE_ARGS="--database postgres://…" names another than the local one.
torture: $(DEV)
	$(BIN)/python -m bench.torture $(TORTURE_ARGS)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

$(DEV): requirements-dev.txt $(RUN)
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@

# Real vLLM on the CPU and tiny models for it: two minutes, 2.5 GB. Where pip does not find torch's
# CPU build by itself, set PIP_EXTRA_INDEX_URL to PyTorch's index of CPU wheels.
$(VLLM)/.ready: tests/vllm/install.sh tests/vllm/make_models.py tests/vllm/shim/pyproject.toml
	tests/vllm/install.sh $(VLLM)/venv $(PYTHON)
	$(VLLM)/venv/bin/python tests/vllm/make_models.py $(VLLM)/models
	touch $@

# Codex, Claude Code and opencode from npm, their scripts not run: half a minute, 1 GB.
$(AGENTS)/.ready: tests/agents/package.json
	mkdir -p $(AGENTS)
	cp $< $(AGENTS)
	npm install --prefix $(AGENTS) --ignore-scripts --no-package-lock --no-audit --no-fund
	touch $@
