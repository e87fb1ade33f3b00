# Short forms of the commands that README.md lists.
PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

.DEFAULT_GOAL := help
.PHONY: help setup lock format check test test-fast test-failed engines pulumi charts demo demo-down clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.done ## Create the environment .venv from the pinned requirements

.venv/.done: requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python %s.%s is too old: use 3.11 or newer, for example make PYTHON=python3.12' % sys.version_info[:2])"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --require-hashes -r requirements/bootstrap.txt
	@$(PYTHON) scripts/patience.py "Installing the packages of requirements/dev.txt" $(BIN)/uv pip sync -q --python .venv --require-hashes --compile-bytecode requirements/dev.txt
	$(BIN)/uv pip install -q --python .venv --no-deps --no-build-isolation -e .
	@$(BIN)/python -c "import pathlib; pathlib.Path('.venv/.done').touch()"

lock: setup ## Update the pinned requirements, with hashes and without index addresses
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --upgrade --extra training --extra infra --extra aws --extra lightgbm --extra xgboost --extra catboost pyproject.toml requirements/dev.in -o requirements/dev.txt
	echo uv | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --constraints requirements/dev.txt - -o requirements/bootstrap.txt

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup ## Check format, lint, unused code and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/vulture
	$(BIN)/mypy

test: check ## Run every check and every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

test-fast: setup ## Run the tests that start no server and install nothing
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "not slow"

test-failed: setup ## Rerun, one at a time, the tests that failed last time
	$(BIN)/python -m pytest -n 1 --dist loadgroup --last-failed --last-failed-no-failures none

demo: setup ## Generate a project, train, serve, promote and roll back in it; make demo ARGS=--stop leaves nothing running
	@$(BIN)/python scripts/demo.py $(ARGS)

demo-down: ## Stop what `make demo` left running
	@$(BIN)/python scripts/demo.py --down

engines: ## Build the programs for the engine tests: Kubernetes, Helm, Traefik, Prometheus (needs Go 1.26; 15 minutes, once)
	tests/k8slab/sources/build.sh $(HOME)/.cache/mlp-engines

pulumi: ## Build the Pulumi CLI for its tests where it cannot be downloaded (needs Go 1.26; 10 minutes, once)
	tests/k8slab/sources/build_pulumi.sh $(HOME)/.cache/mlp-engines

charts: setup ## Pull the real Helm charts for the tests that MLP_CHARTS enables (needs helm)
	$(BIN)/python -m scripts.charts $(HOME)/.cache/mlp-charts

clean: ## Remove the environment and the demo project
	rm -rf .venv build
