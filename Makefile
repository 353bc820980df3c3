# The contract on a fresh machine with Python 3.11 or newer, pip and make: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MEMBERS := $(sort $(dir $(wildcard plugins/*/pyproject.toml)))
PROJECTS := pyproject.toml hookspecs/pyproject.toml $(wildcard plugins/*/pyproject.toml)

.PHONY: help setup demo test oldest check docs pictures conformance proof bench soak clean

help:
	@echo "make demo    run a real export into a real remote, and read it back"
	@echo "make test    run all tests"
	@echo "make oldest  run the tests of the core with the oldest allowed dependencies"
	@echo "make check   lint, types, and the consistency of what is installed"
	@echo "make docs    build the documentation as a site, into .docs"
	@echo "make pictures  draw the documentation's pictures of terminals anew"
	@echo "make conformance  run the connectors' conformance suites, and keep their reports"
	@echo "make proof   run the broken connectors through the conformance suite, and keep the table"
	@echo "make bench   measure the engine against two baselines"
	@echo "make soak    kill a worker a thousand times, and look what became of the items"
	@echo "make clean   remove everything that these commands made"

setup: $(VENV)/.ready

# One pip command for all members, so that each finds the others here and not in a package index.
$(VENV)/.ready: $(PROJECTS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing contraflow and its members into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ./hookspecs -e '.[dev]' $(patsubst %,-e ./%,$(MEMBERS))
	@touch $@

demo: setup
	@$(BIN)/python docs/examples/music_shop/demo.py $(ARGS)

# The demo's remote and a Tryton are part of the tests; without them (no network) they say so and are skipped.
test: setup
	@$(BIN)/python docs/examples/music_shop/demo.py --install-only || true
	@$(BIN)/python plugins/contraflow-tryton/tests/private_trytond.py --install || true
	@$(BIN)/python -m pytest $(ARGS)

# Bounds that nobody tries are guesses.
OLDEST := .venv-oldest
OLDEST_TESTS := hookspecs/tests tests/config tests/engine tests/readers tests/ledger/test_settle.py \
	tests/test_plugins.py tests/test_assembly.py plugins/contraflow-http/tests/test_single.py
OLDEST_MEMBERS := -e ./plugins/contraflow-http -e ./plugins/contraflow-sql

$(OLDEST)/.ready: $(PROJECTS) tests/oldest.txt
	@test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	@echo "Installing contraflow with its oldest dependencies into $(OLDEST) ..."
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c tests/oldest.txt \
		-e ./hookspecs -e '.[dev]' $(OLDEST_MEMBERS)
	@touch $@

oldest: $(OLDEST)/.ready
	@$(OLDEST)/bin/python -m pytest $(or $(ARGS),$(OLDEST_TESTS))

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy src hookspecs/src $(patsubst %,%src,$(MEMBERS))
	@MYPYPATH=docs/examples/music_shop $(BIN)/mypy docs/examples/music_shop
	@$(BIN)/python -m pip check --disable-pip-version-check

docs: setup $(VENV)/.ready-docs
	@rm -rf .docs && $(BIN)/sphinx-build -q -W --keep-going -b html docs .docs
	@echo "The documentation is in .docs/index.html"

pictures: setup $(VENV)/.ready-docs
	@$(BIN)/python docs/pictures.py

# Against each connector's real remote, none left out.
conformance: setup
	@$(BIN)/python docs/examples/music_shop/demo.py --install-only
	@$(BIN)/python plugins/contraflow-tryton/tests/private_trytond.py --install
	@$(BIN)/python docs/conformance.py $(ARGS)

proof: setup
	@$(BIN)/python tests/testing/broken_connectors/table.py

$(VENV)/.ready-docs: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ./hookspecs -e '.[docs]'
	@touch $@

bench: setup $(VENV)/.ready-bench
	@$(BIN)/python benchmarks $(ARGS)

$(VENV)/.ready-bench: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ./hookspecs -e '.[bench]'
	@touch $@

# make soak ARGS='--class C --kills 1000 --seed 103'; ARGS=--help tells all.
soak: setup
	@$(BIN)/python tests/delivery/soak.py $(or $(ARGS),--class A --kills 1000)

clean:
	rm -rf $(VENV) $(OLDEST) .docs .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
