# Needs Python 3.10 or newer and make; everything else is installed into $(VENV).
#
#   make PYTHON=python3.12 VENV=build/venv-3.12 test     another interpreter, another environment

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# One stamp for each Python version, so that a change of PYTHON or of setup.cfg is noticed.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
STAMP   := $(VENV)/.installed-$(VERSION)
OTHERS   = $(filter-out $(STAMP),$(wildcard $(VENV)/.installed-*))

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: all help demo test interop lint types layers check bench bench-peers stress stress-short \
        fuzz fuzz-ci cov clean
.DEFAULT_GOAL := all

all: check test  ## Everything but interop: lint, types, layers, tests (the default)

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP)  ## Two nodes as two processes: one says foo, the other bar
	@$(BIN)/python examples/demo.py

test: $(STAMP)  ## The test suite; the tests of the crypto with both backends
	$(BIN)/python -m pytest tests --ignore=tests/interop --ignore=tests/stress
	P2P_CRYPTO_BACKEND=pycryptodome $(BIN)/python -m pytest tests/crypto tests/rlpx

interop: $(STAMP)  ## Tests against go-ethereum and @ethereumjs/devp2p; needs Go and Node
	tests/interop/build.sh
	$(BIN)/python -m pytest tests/interop

lint: $(STAMP)  ## Style and likely bugs (ruff)
	$(BIN)/ruff check --config .ci/ruff.toml .

types: $(STAMP)  ## Types (mypy, strict)
	$(BIN)/mypy

layers: $(STAMP)  ## Who may import whom
	$(BIN)/python -m pytest -q tests/test_layers.py

check: lint types layers  ## lint, types and layers

bench: $(STAMP)  ## Measure throughput and latency
	$(BIN)/python -m benchmarks

bench-peers: $(STAMP)  ## The same for go-ethereum and @ethereumjs/devp2p in turn; needs Go and Node
	benchmarks/peers/build.sh
	$(BIN)/python -m benchmarks.peers

stress: $(STAMP)  ## Load, faults and hostile remotes at full scale, into tests/stress/RESULTS.md
	$(BIN)/python -m tests.stress --results tests/stress/RESULTS.md

stress-short: $(STAMP)  ## The same, each for some seconds: nothing may be lost, leak or grow
	$(BIN)/python -m pytest tests/stress

fuzz: $(STAMP)  ## Coverage-guided fuzzing, 10 million inputs for each decoder (atheris)
	$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz.guided --runs 10000000 --jobs 2

fuzz-ci: $(STAMP)  ## 100,000 mutated inputs for each decoder, in two processes
	$(BIN)/python -m tests.fuzz --inputs 100000 --jobs 2

cov: $(STAMP)  ## The test suite with a report of the lines it missed (watched code is slow code)
	$(BIN)/coverage run -m pytest tests --ignore=tests/interop --ignore=tests/stress \
	  --deselect=tests/benchmarks/test_rlp.py::test_common_shape_is_at_least_three_times_as_fast_as_with_the_package
	$(BIN)/coverage report

clean:  ## Remove all that was built, .venv included
	rm -rf build dist .venv *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf .coverage htmlcov
	find . -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): setup.cfg setup.py p2p/_version.py
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10+ is needed")'
	$(PYTHON) -m venv $(if $(OTHERS),--clear) $(VENV)
	$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[test,lint]'
	@touch $@
