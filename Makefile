# `make demo` and `make test` are all the set-up a fresh machine needs (Python 3.11 and pip).
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help install demo test test-slow lint types bench docs schema lock clean

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## make .venv with the locked versions

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --no-compile --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

demo: install ## run one whole campaign on a generated shop: import, plan, send, respond, read
	$(BIN)/campanile rehearse winback

test: install ## pass the tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not statistical and not crash and not browser and not engines"

test-slow: install ## the slow suites: statistics, crashes, browser, engines
	$(BIN)/python -m pytest -q -m "statistical or crash or browser or engines"

lint: install ## style and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install ## mypy, strict on src
	$(BIN)/mypy

bench: install ## speed and memory beside references that run in the same command
	$(BIN)/python -m benchmarks

docs: install ## build the documentation into site/
	$(BIN)/python docs/build.py
	$(BIN)/mkdocs build --strict --quiet

schema: install ## write the JSON Schemas and the reference pages from the models
	$(BIN)/campanile schema --write

lock: ## renew requirements.lock (needs uv)
	uv pip compile pyproject.toml --all-extras --python-version 3.11 --python-platform linux --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate --output-file requirements.lock

clean: ## remove what tests, docs, benchmarks and rehearsals have made; the shop's own runs/ stays
	rm -rf runs/rehearsal runs/bench site build .mypy_cache .ruff_cache .hypothesis .import_linter_cache
