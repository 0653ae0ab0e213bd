# Everything that is done with this checkout. `make` alone lists it. Needs: python3 (3.11 or newer), make, git.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# The two stamps use one directory, and the tools print as they go.
.NOTPARALLEL:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Nothing is resolved on this machine: what the lock names, by its hash, is what gets installed.
PIP_LOCKED := $(PIP) install --no-deps --require-hashes --requirement
PIP_SELF := $(PIP) install --no-deps --no-build-isolation --editable .

RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

# The dashboard's pages. Installing builds them; later on they are built anew where their sources changed.
DASHBOARD := pyapp/dashboard
PAGES := pyapp/tallymark/web/static/manifest.json
DASHBOARD_SOURCES = $(shell find $(DASHBOARD) -type f -not -path '*/node_modules/*' -not -path '*/__pycache__/*') \
	$(wildcard pyapp/tallymark/web/templates/*.html)
# Node.js and npm are in the virtual environment.
NODE := PATH=$(abspath $(BIN)):$$PATH

# The version of the tool that makes the locks.
UV := uv==0.13.9
LOCK := .venv-lock/bin/uv --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml --group build
LOCKS := requirements.lock requirements-dev.lock
FORWARD_MIGRATIONS = $(filter-out %.rollback.sql,$(wildcard sql/migrations/*.sql))

# yoyo runs each file in a transaction. A migration may take its time, but it must not queue for a lock.
SQUAWK := --pg-version 15.0 --assume-in-transaction --exclude require-statement-timeout

# All that is installed anew with each release, and all migrations but those that were released before this was checked.
RELEASED_MIGRATIONS := sql/migrations/0001-% sql/migrations/0002-%
PGSPOT_FILES = tests/database/owned_schema.sql $(filter-out $(RELEASED_MIGRATIONS),$(wildcard sql/migrations/*.sql)) \
	$(wildcard sql/functions/*/*.sql) $(wildcard sql/views/*.sql)

POSTGRES_BIN ?= /usr/lib/postgresql/15/bin

# Passed on to the program that a target runs: make run ARGS='--port 9000', make test ARGS='-k merge'
ARGS ?=

.PHONY: help
help: ## List the targets
	@echo "make TARGET [ARGS='...']"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- installing ---------------------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "tallymark needs Python 3.11 or newer, and '$(PYTHON)' is not: make PYTHON=/path/to/python3.11 ..." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' lacks venv or ensurepip; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP_LOCKED) requirements.lock
	$(PIP_SELF)
	@touch $@

# The dev lock holds all of the runtime lock, so one run of pip brings both up to date.
$(DEV): requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	$(PIP_LOCKED) requirements-dev.lock
	$(PIP_SELF)
	@touch $(RUNTIME) $@

$(PAGES): $(DASHBOARD_SOURCES) | $(RUNTIME)
	@$(BIN)/python $(DASHBOARD)/build.py
	@touch $@

.PHONY: install
install: $(RUNTIME) $(PAGES) ## Make .venv with what Tallymark needs to run

.PHONY: dev
dev: $(DEV) $(PAGES) ## Make .venv with the test and lint tools too

# --- using --------------------------------------------------------------------------------------------------------

.PHONY: run
run: $(RUNTIME) $(PAGES) ## Run all of Tallymark: its own PostgreSQL, the schema, the web server
	@$(BIN)/tallymark up $(ARGS)

.PHONY: bench
bench: $(DEV) $(PAGES) ## Measure, and print ratios
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: soak
soak: $(DEV) $(PAGES) ## Load everything at once for ten minutes: crawlers, pages, replica, prune, verify, a migration
	$(BIN)/python -m benchmarks.soak $(ARGS)

.PHONY: overload
overload: $(DEV) $(PAGES) ## Send ten times what the machine holds for a minute, and see what comes of it
	$(BIN)/python -m benchmarks.overload $(ARGS)

.PHONY: pictures
pictures: $(DEV) $(PAGES) ## Take the docs' pictures of the dashboard anew
	$(BIN)/python docs/take_pictures.py

.PHONY: docs
docs: $(RUNTIME) ## Write docs/sql-api.md from the COMMENTs of the stored functions
	@$(BIN)/python docs/write_sql_api.py

# --- checking -----------------------------------------------------------------------------------------------------

.PHONY: test
test: $(DEV) $(PAGES) $(DASHBOARD)/node_modules/.bin/prettier ## Run the tests, without the long ones
	$(BIN)/python -m pytest -n 2 -m "not deep and not faults" $(ARGS)

.PHONY: test-15
test-15: $(DEV) $(PAGES) $(DASHBOARD)/node_modules/.bin/prettier ## Run the tests on Debian's PostgreSQL 15, or that in POSTGRES_BIN
	$(BIN)/python -m tests.on_postgres $(POSTGRES_BIN) -n 2 -m "not deep and not faults" $(ARGS)

.PHONY: test-deep
test-deep: $(DEV) $(PAGES) ## Run the long searches for rare failures
	$(BIN)/python -m pytest -n 2 -m deep $(ARGS)

.PHONY: test-faults
test-faults: $(DEV) $(PAGES) ## Run the tests that kill servers and cut connections
	$(BIN)/python -m pytest -m faults $(ARGS)

# npm's stamp of what it installed; the tools that check are in it, unlike after a mere build.
$(DASHBOARD)/node_modules/.bin/prettier: $(DASHBOARD)/package-lock.json | $(DEV)
	@cd $(DASHBOARD) && $(NODE) npm ci --ignore-scripts --loglevel=error
	@touch $@

.PHONY: lint
lint: $(DEV) $(DASHBOARD)/node_modules/.bin/prettier ## Check style, types and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(FORWARD_MIGRATIONS),$(BIN)/squawk $(SQUAWK) $(FORWARD_MIGRATIONS))
	@# Its exit code also tells of PL/pgSQL that it cannot read, such as assignments to a field: see tests/database.
	@found=$$($(BIN)/pgspot --append $(PGSPOT_FILES) 2>&1 || true); \
		grep -q '^TOTAL: Errors: 0 Warnings: 0 Unknown: 0' <<< "$$found" || { echo "$$found"; exit 1; }; \
		echo "pgspot: $${found##*TOTAL: }"
	cd $(DASHBOARD) && $(NODE) npm run --silent check
	bash -n .ci/run
	@! grep -nE 'https?:|file:|find-links|index-url' $(LOCKS) || { echo "a lock names an address" >&2; exit 1; }
	@! grep -n '"resolved"' $(DASHBOARD)/package-lock.json || { echo "a lock names an address" >&2; exit 1; }
	$(BIN)/python -m pip --disable-pip-version-check check

# --- shipping -----------------------------------------------------------------------------------------------------

.PHONY: build
build: $(RUNTIME) ## Build the wheel into dist/
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls -l dist/*.whl

.PHONY: lock
lock: ## Make the lock files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check --quiet install $(UV)
	$(LOCK) $(ARGS) --output-file requirements.lock
	$(LOCK) $(ARGS) --extra test --extra lint --constraint requirements.lock --output-file requirements-dev.lock

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-lock dist build $(dir $(PAGES)) $(DASHBOARD)/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
