# Everything that is done with this checkout. `make` alone lists the targets. Needs: python3 (3.11 or newer), make, git.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# The two stamps use one directory, and the tools print as they go.
.NOTPARALLEL:

# The tests start Python hundreds of times: it keeps what it compiled, even where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Nothing is resolved on this machine: what the lock names, by its hash, is what gets installed.
PIP_LOCKED := $(PIP) install --no-deps --require-hashes --requirement
PIP_SELF := $(PIP) install --no-deps --no-build-isolation --editable .

RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

# The dashboard's pages. Installing builds them; later they are built again when their sources change.
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

# All that each release installs again, and all migrations but those that were released before this was checked.
RELEASED_MIGRATIONS := sql/migrations/0001-% sql/migrations/0002-%
PGSPOT_FILES = tests/database/owned_schema.sql $(filter-out $(RELEASED_MIGRATIONS),$(wildcard sql/migrations/*.sql)) \
	$(wildcard sql/functions/*/*.sql) $(wildcard sql/views/*.sql)

POSTGRES_BIN ?= /usr/lib/postgresql/15/bin
export POSTGRES_BIN

# Passed on to the program that a target runs: make run ARGS='--port 9000', make test ARGS='-k merge'
ARGS ?=

# How many tests run at once. They wait for half of their time, so two cores keep four busy.
WORKERS ?= 4
PYTEST := $(BIN)/python -m pytest
PYTEST_PARALLEL = $(PYTEST) -n $(WORKERS) --dist worksteal

.PHONY: help
help: ## List the targets
	@echo "make TARGET [ARGS='options for the program that the target runs']"
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ To use Tallymark

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

.PHONY: run
run: $(RUNTIME) $(PAGES) ## Run all of Tallymark: its own PostgreSQL, the schema, the web server
	@$(BIN)/tallymark up $(ARGS)

##@ To work on it

.PHONY: dev
dev: $(DEV) $(PAGES) ## Make .venv with the test and lint tools too

.PHONY: check
check: lint $(PAGES) ## Before each commit: lint and the quick tests, in less than a minute; changes no file
	$(PYTEST) -n 2 -q -m quick $(ARGS)

.PHONY: format
format: $(DEV) $(DASHBOARD)/node_modules/.bin/prettier ## Format all code; lint only says what is not formatted
	$(BIN)/ruff check --quiet --select I --fix .
	$(BIN)/ruff format .
	cd $(DASHBOARD) && $(NODE) npm exec -- prettier --write --log-level warn .

.PHONY: docs
docs: $(RUNTIME) ## Write what is generated in docs: from COMMENTs, docstrings and examples
	@$(BIN)/python docs/write_sql_api.py
	@$(BIN)/python docs/write_python_api.py
	@$(BIN)/python docs/write_programs.py

.PHONY: schema
schema: $(RUNTIME) ## Write sql/schema.sql, the tables as all migrations leave them
	@$(BIN)/python sql/write_schema.py

.PHONY: lint
lint: $(DEV) $(DASHBOARD)/node_modules/.bin/prettier ## Check format, style, types, migrations and locks; changes no file
	$(BIN)/ruff check .
	@$(BIN)/ruff format --check . || { echo "make format puts this right" >&2; exit 1; }
	$(BIN)/mypy
	$(if $(FORWARD_MIGRATIONS),$(BIN)/squawk $(SQUAWK) $(FORWARD_MIGRATIONS))
	@# pgspot's exit code also counts PL/pgSQL that it cannot read, such as assignments to a field: see tests/database.
	@found=$$($(BIN)/pgspot --append $(PGSPOT_FILES) 2>&1 || true); \
		grep -q '^TOTAL: Errors: 0 Warnings: 0 Unknown: 0' <<< "$$found" || { echo "$$found"; exit 1; }; \
		echo "pgspot: $${found##*TOTAL: }"
	cd $(DASHBOARD) && $(NODE) npm run --silent check
	bash -n .ci/run
	@! grep -nE 'https?:|file:|find-links|index-url' $(LOCKS) || { echo "a lock names an address" >&2; exit 1; }
	@! grep -n '"resolved"' $(DASHBOARD)/package-lock.json || { echo "a lock names an address" >&2; exit 1; }
	$(BIN)/python -m pip --disable-pip-version-check check

.PHONY: test-unit
test-unit: $(DEV) $(PAGES) ## Run the quick tests that are in Python: no database of their own, no servers, no browser
	$(PYTEST) -n 2 -m quick --ignore tests/pgtap $(ARGS)

.PHONY: test-sql
test-sql: $(DEV) $(PAGES) ## Run the SQL tests: a line for each file, and for each promise with ARGS=-v
	$(PYTEST) -n 2 tests/pgtap/test_pgtap.py $(ARGS)

# npm's stamp of what it installed; the tools that check are in it, unlike after a mere build.
$(DASHBOARD)/node_modules/.bin/prettier: $(DASHBOARD)/package-lock.json | $(DEV)
	@cd $(DASHBOARD) && $(NODE) npm ci --ignore-scripts --loglevel=error
	@touch $@

##@ To test all of it

.PHONY: test
test: $(DEV) $(PAGES) $(DASHBOARD)/node_modules/.bin/prettier ## Run all but the deep tests and the faults, in less than five minutes on two cores
	$(PYTEST_PARALLEL) -m "not deep and not faults and not citus" $(ARGS)

.PHONY: test-15
test-15: $(DEV) $(PAGES) $(DASHBOARD)/node_modules/.bin/prettier ## Run them on Debian's PostgreSQL 15, or on that in POSTGRES_BIN
	$(BIN)/python -m tests.on_postgres $(POSTGRES_BIN) -n $(WORKERS) --dist worksteal -m "not deep and not faults and not citus" $(ARGS)

.PHONY: test-deep
test-deep: $(DEV) $(PAGES) ## Run the long searches for rare failures
	$(PYTEST) -n 2 -m deep $(ARGS)

.PHONY: test-faults
test-faults: $(DEV) $(PAGES) ## Run the tests that kill servers and cut connections
	$(PYTEST) -m faults $(ARGS)

CITUS_URL ?=

.PHONY: test-citus
test-citus: $(DEV) $(PAGES) ## Run the tests of a distributed database on a cluster: CITUS_URL=postgresql://superuser@coordinator/database
	@[ -n "$(CITUS_URL)" ] || echo "NOT TESTED: CITUS_URL names no cluster of Citus" >&2
	CITUS_URL="$(CITUS_URL)" $(PYTEST) -m citus tests/citus $(ARGS)
	[ -z "$(CITUS_URL)" ] || CITUS_URL="$(CITUS_URL)" $(PYTEST) tests/wire/test_conformance.py $(ARGS)

##@ To measure it

.PHONY: bench
bench: $(DEV) $(PAGES) ## Measure, and print ratios; some of it: ARGS='--only merge_vs_floor endpoint'
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: soak
soak: $(DEV) $(PAGES) ## Do everything at once for ten minutes: crawlers, pages, replica, prune, verify, a migration
	$(BIN)/python -m benchmarks.soak $(ARGS)

.PHONY: overload
overload: $(DEV) $(PAGES) ## Send more than the machine can take for a minute, and check what became of it
	$(BIN)/python -m benchmarks.overload $(ARGS)

##@ To release it

.PHONY: build
build: $(RUNTIME) ## Build the wheel into dist/
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls -l dist/*.whl

.PHONY: lock
lock: ## Make the lock files from pyproject.toml (ARGS=--upgrade for newer versions)
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check --quiet install $(UV)
	$(LOCK) $(ARGS) --output-file requirements.lock
	$(LOCK) $(ARGS) --extra test --extra lint --constraint requirements.lock --output-file requirements-dev.lock

.PHONY: pictures
pictures: $(DEV) $(PAGES) ## Take the docs' pictures of the dashboard again
	$(BIN)/python docs/take_pictures.py

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-lock dist build $(dir $(PAGES)) $(DASHBOARD)/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
