# Needs Python 3.10 or newer and make; everything else is installed into $(VENV).
#
#   make PYTHON=python3.12 VENV=build/venv-3.12 test     another interpreter, another environment
#   make PARALLEL= test                                  all tests in one process

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST  = $(BIN)/python -m pytest
# As many processes as the machine has processors; a file of tests stays in one of them.
PARALLEL = -n auto --dist loadfile

# One stamp for each Python version, so that a change of PYTHON or of setup.cfg is noticed.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
STAMP   := $(VENV)/.installed-$(VERSION)
OTHERS   = $(filter-out $(STAMP),$(wildcard $(VENV)/.installed-*))

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Tests start many processes, and each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE
# It would take the checkout for the wheel.
unexport PYTHONPATH

.PHONY: all help demo test test-fast interop conformance lint types layers check bare bench bench-peers \
        stress stress-short fuzz fuzz-ci cov docs wheel demo-tour wheels clean
.DEFAULT_GOAL := all

all: check test  ## Everything but interop: lint, types, layers, tests (the default)

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP)  ## Two nodes as two processes: one says foo, the other bar
	@$(BIN)/python examples/demo.py

# The other binding of libsecp256k1 has no wheel for 3.10.
OTHER_CRYPTO = P2P_CRYPTO_BACKEND=pycryptodome
ifneq ($(VERSION),3.10)
OTHER_CRYPTO += P2P_SECP256K1_BACKEND=btclib
endif

test: $(STAMP)  ## The test suite; the tests of the crypto with the other libraries, too
	$(PYTEST) $(PARALLEL) tests --ignore=tests/interop --ignore=tests/stress --ignore=tests/docs
	$(OTHER_CRYPTO) $(PYTEST) $(PARALLEL) tests/crypto tests/rlpx

# What mirrors a package or a module of p2p, the simulation apart, which is one big run.
MIRRORS = $(patsubst p2p/%/,tests/%,$(wildcard p2p/*/)) \
          $(patsubst p2p/%.py,tests/test_%.py,$(wildcard p2p/*.py))

test-fast: $(STAMP)  ## The quick tests of the modules, in some seconds, with few random examples
	$(PYTEST) $(PARALLEL) -q -m 'not slow' --hypothesis-profile='few examples' \
	  $(filter-out tests/sim %__pycache__,$(wildcard $(MIRRORS)))

interop: $(STAMP)  ## Tests against go-ethereum, @ethereumjs/devp2p and @chainsafe/discv5; needs Go and Node
	tests/interop/build.sh
	$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[browser]'
	$(PYTEST) tests/interop

conformance: $(STAMP)  ## go-ethereum's suites for discovery, 100 times each against one node; needs Go
	tests/interop/build.sh go
	$(BIN)/python -m tests.interop.suite --runs 100
	$(BIN)/python -m tests.interop.suite --protocol v5 --runs 100

bare:  ## demo and test on a Debian made anew, with Python and make only; needs root
	.ci/bare-system

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
	$(BIN)/coverage run -m pytest tests --ignore=tests/interop --ignore=tests/stress --ignore=tests/docs \
	  --deselect=tests/benchmarks/test_rlp.py::test_common_shape_is_at_least_three_times_as_fast_as_with_the_package
	$(BIN)/coverage report

docs: $(STAMP)  ## Build the documentation site into build/docs, and check its links; Python 3.11 or newer
	$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[cli,docs]'
	rm -rf build/docs
	$(BIN)/python -m sphinx -W --keep-going -q -E -d build/doctrees docs build/docs
	$(BIN)/python -m pytest -q tests/docs

wheel: $(STAMP)  ## Build the wheel into dist, and run the demo where only that is installed
	rm -rf build/lib build/venv-wheel dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv build/venv-wheel
	build/venv-wheel/bin/python -m pip install --quiet --only-binary :all: dist/*.whl
	build/venv-wheel/bin/python examples/demo.py

demo-tour: wheel  ## Play every command of p2p, as a new user would, where only the wheel is installed
	build/venv-wheel/bin/python -m pip install --quiet --only-binary :all: "$$(echo dist/*.whl)[cli,capture]"
	$(BIN)/python -m tests.tour build/venv-wheel/bin

wheels: $(STAMP)  ## Ask the package index for a wheel of every dependency for each Python and system
	$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[wheels]'
	$(BIN)/python -m tests.wheels

clean:  ## Remove all that was built, .venv included
	rm -rf build dist .venv *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf .coverage htmlcov
	find . -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): pyproject.toml setup.cfg setup.py p2p/_version.py
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10+ is needed")'
	$(PYTHON) -m venv $(if $(OTHERS),--clear) $(VENV)
	$(BIN)/python -m pip install --quiet --use-pep517 --editable '.[test,lint]'
	@touch $@
