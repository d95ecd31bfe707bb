# Everything a person or CI runs. Each target sets up what it needs; a machine needs only Python 3.11+ and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FROM ?= 2013-03-01
TO ?= 2013-07-31

.PHONY: help demo test coverage cases ui lint format bench lock clean

help:
	@echo "make demo    real flights, a season backfilled through Dagster, SLIs printed, report written"
	@echo "make test    everything CI runs after lint: the whole test suite"
	@echo "make coverage the same, and which lines no test has run: half as long again"
	@echo "make cases   every bad delivery with what becomes of it: outcome, reason, counts that add up"
	@echo "make ui      dagster dev on the demo's data: graph, partitions, checks, schedules"
	@echo "make lint    ruff, format, types, import floors, contracts, definitions"
	@echo "make format  format and fix what can be fixed"
	@echo "make bench   speed of the statistics pass and of ingestion, beside other tools; faults found, false alarms"
	@echo "make lock    resolve requirements.lock anew, and the part of it that the image installs"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" && exit 1)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	$(BIN)/mlobs demo --from $(FROM) --to $(TO)

# Three processes, also on two cores: one of them usually waits for servers.
PYTEST := $(BIN)/python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder

test: $(READY)
	$(PYTEST)

coverage: $(READY)
	$(BIN)/coverage erase
	$(PYTEST) --cov --cov-report=
	$(BIN)/coverage report --include='mlobs_pipelines/core/*' --skip-covered
	$(BIN)/coverage report --skip-covered --fail-under=90

ui: $(READY)
	$(BIN)/python -c "from mlobs_pipelines.defs.launch import prepare; prepare()"
	DAGSTER_HOME=$(CURDIR)/.mlobs/dagster $(BIN)/dagster dev --workspace workspace.yaml

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mlobs check

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python benchmarks/measuring.py
	$(BIN)/python benchmarks/ingestion.py
	$(BIN)/python benchmarks/faults.py
	$(BIN)/python benchmarks/false_alarms.py

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements.lock
	echo hatchling | $(BIN)/uv pip compile pyproject.toml - --extra postgres --extra kubernetes --extra telemetry \
	  --constraints requirements.lock --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file deploy/image/requirements.lock

clean:
	rm -rf $(VENV) .mlobs .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
