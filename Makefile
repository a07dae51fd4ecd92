# Stenograph. A bare machine with make and a Python 3.11 to 3.13 is enough: every target makes .venv for itself.
# The lines after `##` are what `make help` prints.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: help demo dev test soak trials check fix bench bench-compare setup test-pythons test-octavus clean

help: ## Show this page
	@if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then bold=$$(printf '\033[1m'); plain=$$(printf '\033[0m'); fi; \
	echo "$${bold}Stenograph$$plain: a session service for AI agents, on NATS JetStream."; \
	echo; \
	awk -v bold="$$bold" -v plain="$$plain" 'BEGIN { FS = ":.*## " } \
	    /^[a-z-]+:.*## / { printf "  %smake %-14s%s %s\n", bold, $$1, plain, $$2 }' Makefile; \
	echo; \
	echo "ARGS goes to the program behind a target:  make test ARGS='-k fence -n 2'   make dev ARGS='--port 9000'"; \
	echo "New here? make demo"

demo: $(READY) ## See it work: a conversation, a tool, two kill -9, the replay, all with real parts
	@$(BIN)/stenograph demo $(ARGS)

dev: $(READY) ## Run everything to develop against, with the agents of ./agents
	@$(BIN)/stenograph dev --agents agents $(ARGS)

test: $(READY) ## All tests, on a real nats-server, in minutes
	@$(BIN)/pytest $(ARGS)

soak: $(READY) ## The long tests in full, and 3,000 crash trials; the reports go to reports/
	@mkdir -p reports
	@failed=0; \
	STENOGRAPH_SOAK=1 $(BIN)/pytest -m soak --timeout 7200 --junitxml "reports/soak-$$(date -u +%Y%m%dT%H%M%SZ).xml" $(ARGS) || failed=1; \
	$(BIN)/python -m tests.faults.trials || failed=1; \
	exit $$failed

trials: $(READY) ## Only the crash trials: somebody dies exactly there. ARGS=--help tells more
	@$(BIN)/python -m tests.faults.trials $(ARGS)

test-pythons: ## All tests under each of Python 3.11, 3.12 and 3.13 that is here
	@.ci/test-pythons $(ARGS)

test-octavus: $(READY) ## Only the tests with the application SDK from npm; they need Node, and its registry once
	@$(BIN)/pytest -n 0 tests/octavus $(ARGS)

check: $(READY) ## Lint, format, types and the directions of imports, without changing a file
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(READY) ## Format, and mend what the linter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## Measure against bare NATS and write the table of bench/README.md
	@$(BIN)/python -m bench $(ARGS)

bench-compare: $(READY) ## Measure, and fail where a ratio is 20 % worse than in the last table
	@$(BIN)/python -m bench --compare $(ARGS)

setup: $(READY) ## Only make .venv

$(READY): pyproject.toml uv.lock .ci/setup
	@.ci/setup $(VENV)
	@touch $@

clean: ## Remove environments and caches; your data in .stenograph/ stays
	rm -rf $(VENV) .venvs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
