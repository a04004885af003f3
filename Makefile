# Every target sets up what it needs, in .venv. `make demo` and `make test` are all a newcomer needs.
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench lock clean

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

help: ## what there is
	@sed -n 's/^\([a-z]*\):.*## /\1  /p' $(MAKEFILE_LIST) | expand -t 8

demo: $(READY) ## the bot, a local Slack in the browser, nodes to diagnose (DEMO_PORT, DEMO_KUBECONFIG)
	@exec $(BIN)/python -m deploy.local

test: $(READY) lint ## lint, types, layers, and the tests that need neither root, a cluster nor a browser
	$(BIN)/pytest -n 2 -m "not cluster and not kernel and not browser and not database and not slow" $(ARGS)

lint: $(READY) ## ruff, mypy strict, the import layers, the probe's minimum Python
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vermin --no-tips --violations -t=3.7- diagnostics/probe

bench: $(READY) ## benchmarks, each against its rival in the same run (root, and a quiet machine)
	$(BIN)/python -m tests.bench $(ARGS)

lock: $(READY) ## renew the locked requirements from pyproject.toml
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-annotate --no-header --upgrade pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-annotate --no-header --upgrade pyproject.toml --group dev --output-file requirements-dev.txt

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || ./.ci/install python3-venv
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "Setting up .venv (once)"
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean: ## remove what was set up
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
