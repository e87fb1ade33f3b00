# Thin aliases: the README gives the command behind each target.
PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

.DEFAULT_GOAL := help
.PHONY: help setup lock format check test test-fast test-failed engines pulumi demo clean

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.done ## Make the environment .venv from the pinned requirements

.venv/.done: requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python %s.%s is too old: 3.11 or newer is needed; name one with make PYTHON=python3.12' % sys.version_info[:2])"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync -q --python .venv --require-hashes --compile-bytecode requirements/dev.txt
	$(BIN)/uv pip install -q --python .venv --no-deps --no-build-isolation -e .
	@$(BIN)/python -c "import pathlib; pathlib.Path('.venv/.done').touch()"

lock: setup ## Resolve the requirements anew, hash-pinned, without naming an index
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --upgrade --extra training --extra infra pyproject.toml requirements/dev.in -o requirements/dev.txt
	echo uv | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --constraints requirements/dev.txt - -o requirements/bootstrap.txt

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup ## Lint, format and type checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check ## Every check and every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

test-fast: setup ## The tests without servers and installs, under a minute
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "not slow"

test-failed: setup ## Once more, one by one, the tests that failed in the run before
	$(BIN)/python -m pytest -n 1 --dist loadgroup --last-failed --last-failed-no-failures none

demo: setup ## Clone to prediction: the whole loop in a generated project
	$(BIN)/python scripts/demo.py

engines: ## Build the programs that engine tests run: Kubernetes, Helm, Traefik, Prometheus (needs Go 1.26; 15 minutes once)
	tests/k8slab/sources/build.sh $(HOME)/.cache/mlp-engines

pulumi: ## Build the real Pulumi tool for its tests where its own download is out of reach (needs Go 1.26; 10 minutes once)
	tests/k8slab/sources/build_pulumi.sh $(HOME)/.cache/mlp-engines

clean: ## Remove the environment and what demos left
	rm -rf .venv build
