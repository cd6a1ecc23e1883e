# Two commands on a fresh machine with python3 (3.11 or newer) and make: `make demo` and `make test`.
# Each sets itself up in .venv, from the hashed lock, and does so again only when the lock has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
# A file of tests stays in one process, which has servers of its own; most tests wait more than they work.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: demo test test-fast test-all coverage chaos chaos-attacks chaos-soak check bench bench-full recall install upgrade rollback uninstall lock clean help

demo: $(READY) ## Watch it work: S3 and SQS in process, sample files, searches (DIR=folder: your own files; KEEP=1: leave the index)
	@$(BIN)/python -m worker demo $(if $(KEEP),--keep) $(if $(DIR),"$(DIR:~/%=$(HOME)/%)")

test: $(READY) ## Prove it on OpenSearch, ElasticMQ and SeaweedFS, which it fetches and starts (five minutes on two cores)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not extended"

test-fast: $(READY) ## Run the tests that need no server (four minutes on two cores)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not extended" tests/unit

test-all: $(READY) ## Run what `make test` leaves out: real systemd, every documented command, attacks, OpenSearch 2.19
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m extended

coverage: export COVERAGE_FILE = $(CURDIR)/.cache/coverage/data
coverage: $(READY) ## Run `make test` again and say how much of the code it runs, and which files are under 80%
	@rm -rf .cache/coverage && mkdir -p .cache/coverage
	$(BIN)/python -m coverage run -m pytest $(SIDE_BY_SIDE) -m "not extended"
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m tools.coverage

chaos: $(READY) ## Attack it: every call with every fault, deaths, outages, hostile files, a soak (hours; SOAK=s LANES=n)
	@$(MAKE) --jobs=2 --keep-going chaos-attacks chaos-soak

chaos-attacks: $(READY)
	FULL_SIZE=1 CHAOS_LANES=$(or $(LANES),6) $(BIN)/python -m pytest -s --ignore tests/chaos/test_soak.py \
	  tests/chaos tests/hostile tests/acceptance tests/integration/recovery \
	  tests/unit/worker/test_convergence.py tests/unit/worker/core/indexing/test_replay.py tests/unit/recovery

chaos-soak: $(READY)
	CHAOS_SOAK_S=$(or $(SOAK),3600) $(BIN)/python -m pytest -s tests/chaos/test_soak.py

check: $(READY) ## Lint, format, types, import rules, size limits, docs, dashboards and lock against the code; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p worker -p recovery -p tools -p testing -p benchmarks -p tests
	$(BIN)/lint-imports --no-logo
	$(BIN)/shellcheck -s sh systemd/install systemd/run-as-unit .ci/run config/user-data.sh
	$(BIN)/python -m tools.sizes
	$(BIN)/python -m tools.docs --check
	$(BIN)/python -m tools.dashboards --check
	$(BIN)/python -m tools.lock --check

bench: $(READY) ## Measure the worker against a bare loop and a sequential one, five times (under 10 minutes)
	$(BIN)/python -m benchmarks

bench-full: $(READY) ## Every benchmark: also latency, memory, a second process, mixed and large files (an hour)
	$(BIN)/python -m benchmarks --full

recall: $(READY) ## Which phrases of the tests' files are found; of your own files: DIR=folder (MORE="--cost --json file")
	@$(BIN)/python -m benchmarks.recall $(if $(DIR),"$(DIR:~/%=$(HOME)/%)") $(MORE)

# What systemd/install is told; PYTHON only where it was given, for the default above is that of the environment here.
TO_INSTALL = PREFIX="$(PREFIX)" WHEEL="$(WHEEL)" WHEELS="$(WHEELS)" MANAGER="$(MANAGER)" \
  PYTHON="$(if $(filter command environment,$(origin PYTHON)),$(PYTHON))"

install: ## Install or upgrade on this host, with systemd units; as root (PREFIX=, PYTHON=, WHEEL=, WHEELS=, MANAGER=1)
	@$(TO_INSTALL) systemd/install install

upgrade: install ## The same from a newer checkout; keeps settings, restarts what runs

rollback: ## Go back to the version that was installed before; as root
	@$(TO_INSTALL) systemd/install rollback

uninstall: ## Remove all but settings and data; as root
	@$(TO_INSTALL) systemd/install uninstall

lock: $(READY) ## Pin the newest versions that pyproject.toml allows, with hashes
	$(BIN)/python -m tools.lock --write

clean: ## Remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements-dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is older; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "python's venv module is missing: apt install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV); the first time this takes a minute or two" >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
