# `make demo` and `make test` are all the set-up a fresh machine needs (Python 3.11 and pip).
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help install install-spark demo test test-slow test-long test-engines crash lint types bench bench-audience bench-readout bench-responses bench-send docs schema lock clean

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## make .venv with the locked versions

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --no-compile --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

install-spark: $(STAMP)-spark ## add Spark to .venv (400 MB; wants Java 17 or later)

$(STAMP)-spark: $(STAMP) requirements-spark.lock
	$(BIN)/pip install -qq --no-compile --disable-pip-version-check --no-deps --no-build-isolation --require-hashes \
	    --requirement requirements-spark.lock
	touch $@

demo: install ## run one whole campaign on a generated shop: import, plan, send, respond, read
	$(BIN)/campanile rehearse winback

test: install ## pass the tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not statistical and not crash and not browser and not contract and not engines and not long"

test-slow: install ## the slow suites: statistics, crashes, browser, contracts with providers
	$(BIN)/python -m pytest -q -rs -n 2 --dist loadfile -m "statistical or crash or browser or contract"

test-long: install ## simulations and random conditions that take minutes each
	$(BIN)/python -m pytest -q -m long

test-engines: install-spark ## the same people on DuckDB, PostgreSQL and Spark (CAMPANILE_POSTGRES names the server)
	$(BIN)/python -m pytest -q -m engines

crash: install ## kill a thousand senders and write what came of it into docs/method-crash-safety.md (20 minutes)
	PYTHONPATH=src:tests:. $(BIN)/python -m crash.run --kills 1000 --write docs/method-crash-safety.md
	PYTHONPATH=src:tests:. $(BIN)/python -m crash.run --kills 150 --channels sendgrid --write docs/method-crash-safety.md

lint: install ## style and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install ## mypy, strict on src
	$(BIN)/mypy

bench: install ## speed and memory beside references that run in the same command
	$(BIN)/python -m benchmarks

bench-audience: install ## selection among 1 and 10 million customers beside SQL written by hand (20 GB of disk, an hour)
	$(BIN)/python -m benchmarks.at_scale

bench-responses: install ## events kept beside a bare insert, a million folded, clicks under load
	$(BIN)/python -m benchmarks.responses

bench-send: install ## sending beside its parts, with one and two workers, and with slow replies (SENDING=100000 for more)
	$(BIN)/python -m benchmarks.send_report --messages $(or $(SENDING),20000,100000)

bench-readout: install ## a readout of 10 million assigned beside SQL by hand and tea-tasting (ASSIGNED=200000 for less; TEA=python that has tea-tasting)
	$(BIN)/python -m benchmarks.readout_at_scale --customers $(or $(ASSIGNED),10000000) $(if $(TEA),--tea $(TEA))

docs: install ## build the documentation into site/
	$(BIN)/python docs/build.py
	$(BIN)/mkdocs build --strict --quiet

schema: install ## write the JSON Schemas and the reference pages from the models
	$(BIN)/campanile schema --write

LOCK := --python-version 3.11 --python-platform linux --generate-hashes --no-emit-index-url --no-header --no-annotate

lock: ## renew the locks (needs uv)
	uv pip compile pyproject.toml --extra providers --extra postgres --extra dev $(LOCK) --output-file requirements.lock
	echo "pyspark>=4.0,<4.1" | uv pip compile - $(LOCK) --constraint requirements.lock --output-file requirements-spark.lock

clean: ## remove what tests, docs, benchmarks and rehearsals have made; the shop's own runs/ stays
	rm -rf runs/rehearsal runs/bench site build .mypy_cache .ruff_cache .hypothesis .import_linter_cache
