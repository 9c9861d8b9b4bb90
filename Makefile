# Every target makes what it needs. PYTHON names the interpreter that .venv is made with.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run
DEV := $(VENV)/.dev

.PHONY: run test check format

run: $(RUN)
	$(BIN)/python manage.py serve

test: $(DEV)
	$(BIN)/pytest $(PYTEST_ARGS)

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run
	AURORA_PUBLIC_URL=https://aurora.example $(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

$(DEV): requirements-dev.txt $(RUN)
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@
