# Two commands to know: `make run` and `make test`. Each makes .venv itself when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A file of tests to one worker: what a file needs is made once. One worker more than cores: some wait for a daemon.
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 1)

PERIOD ?= 2019

.DEFAULT_GOAL := help
.PHONY: help run test quick check ui sql report explorer bench lock clean

help: ## list the commands
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found " + sys.version.split()[0])'
	@echo "Setting up $(VENV) from requirements.lock (about a minute, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	@echo "Adding the test tools from requirements-dev.lock"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# Beside the environment and not in it: the tests that need it put it on their own path.
$(VENV)/spark/.ready: requirements-spark.lock $(VENV)/.ready
	@if command -v java >/dev/null 2>&1; then \
	  echo "Adding what the tests on a Spark cluster need from requirements-spark.lock (half a gigabyte, once)"; \
	  rm -rf $(VENV)/spark; \
	  $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(VENV)/spark -r requirements-spark.lock \
	    && touch $@ || echo "pyspark could not be installed: the tests on a cluster will say so and skip"; \
	else echo "no java: the tests on a Spark cluster will say so and skip"; fi

# Beside it too: the DuckDB of the line before, with which released files are opened.
$(VENV)/duckdb1/.ready: requirements-duckdb1.lock $(VENV)/.ready
	@echo "Adding an older DuckDB, with which the tests open a release, from requirements-duckdb1.lock"
	@rm -rf $(VENV)/duckdb1
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(VENV)/duckdb1 -r requirements-duckdb1.lock \
	  && touch $@ || echo "it could not be installed: the test that opens a release with it will say so and skip"

run: $(VENV)/.ready ## simulate two years of deliveries, run the pipeline, publish the index
	@$(BIN)/dci demo

test: check $(VENV)/spark/.ready $(VENV)/duckdb1/.ready ## style, types, every test
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

quick: $(VENV)/.ready-dev ## the tests that take no time
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not browser"

check: $(VENV)/.ready-dev ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || (echo "run: $(BIN)/ruff format ." && false)
	@$(BIN)/pyright

ui: $(VENV)/.ready ## the Dagster UI on http://127.0.0.1:3000
	@$(BIN)/dci ui

sql: $(VENV)/.ready ## a look at the published tables
	@$(BIN)/dci sql "SELECT year, node, points, growth_yoy FROM index_year WHERE entity_type = 'nation' ORDER BY node, year"

report: $(VENV)/.ready ## the report of a PERIOD (2019) as one HTML file
	@$(BIN)/dci report --period $(PERIOD)

explorer: ## build the page of `dci explore` again from explorer/ (needs Node)
	cd explorer && npm ci --no-audit --no-fund && npm run build

bench: $(VENV)/.ready-dev ## measure against the bare engines, and against the ratios stored
	@$(BIN)/python benchmarks/run.py

lock: ## resolve the versions again (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras --no-header --extra ui --extra report pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras --no-header --extra ui --extra report --extra postgres --extra s3 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	# What the extra adds to the others, and nothing they have.
	printf '%s\n' pyspark py4j grpcio-status googleapis-common-protos zstandard | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --no-deps -c requirements-dev.lock - -o requirements-spark.lock
	printf '%s\n' 'duckdb==1.5.*' | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --no-deps - -o requirements-duckdb1.lock

clean: ## remove .venv and caches; deliveries and the warehouse stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
