# What those who change deploytasks itself type; `make help` lists it. The root's Makefile includes it where it is there.

PYTHON ?= python3
BIN := .venv/bin
MADE := .venv/.made
EMULATOR := .venv-emulator/.made
OLDEST := .venv-oldest/.made
unexport PYTHONDONTWRITEBYTECODE # else each process of the tests compiles all of them anew
PIP := pip install --quiet --disable-pip-version-check --use-pep517

# What a machine must have before anything can be made.
define usable
@command -v git >/dev/null || \
  { printf 'make: git is missing\n    install it: apt-get install git, or https://git-scm.com/downloads\n' >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
  { printf 'make: %s is no Python 3.11 or newer\n    say which one is: make setup PYTHON=python3.12\n' '$(PYTHON)' >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
  { printf 'make: %s cannot make virtual environments\n    on Debian and Ubuntu: apt-get install python3-venv\n' '$(PYTHON)' >&2; exit 1; }
endef
HOW_TO_INSTALL := make setup

.PHONY: setup setup-emulator demo quick test test-long test-oldest package check format bench clean

setup: $(MADE) $(EMULATOR) ## the virtual environments .venv and .venv-emulator, made anew only when their lists changed

demo: setup ## a whole release on an emulated AWS: two tenants, three tiers, under two minutes
	@$(BIN)/python -m examples.stand.demo

quick: setup ## the quick tests, of every part of the package, in less than a minute
	@$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile $(ARGS)

test: setup ## all tests but the long ones; those that need a Docker engine say so where none answers
	@$(BIN)/pytest -m "not long and not package" --numprocesses 5 --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: setup ## the tests that `make test` leaves out, since they take minutes: real crashes, answers spoilt for good
	@$(BIN)/pytest -m long --numprocesses 5 --dist loadfile --no-loadscope-reorder $(ARGS)

test-oldest: $(OLDEST) ## the quick tests, with the oldest releases that pyproject.toml allows
	@OLDEST=1 .venv-oldest/bin/pytest -m "not slow" --numprocesses 2 --dist loadfile $(ARGS)

package: setup ## the wheel and sdist, built, installed in an empty environment and released with
	@$(BIN)/pytest -m package $(ARGS) tests/packaging

check: setup ## ruff, mypy, and whether what is installed fits together
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pip --disable-pip-version-check check

format: setup ## ruff's layout, and the repairs it can make by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## the ratios of speed that are promised, measured in one run
	@$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove the virtual environments and every cache
	rm -rf .venv .venv-emulator .venv-oldest .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-emulator: $(EMULATOR)

$(MADE): pyproject.toml
	$(usable)
	@echo "making .venv (once; a minute or so)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/$(PIP) --editable '.[test,check]'
	@touch $@

$(EMULATOR): examples/stand/requirements.txt
	$(usable)
	@echo "making .venv-emulator (once)"
	@$(PYTHON) -m venv .venv-emulator
	@.venv-emulator/bin/$(PIP) --requirement examples/stand/requirements.txt
	@touch $@

$(OLDEST): pyproject.toml
	$(usable)
	@echo "making .venv-oldest (once; a minute or so)"
	@$(PYTHON) -m venv .venv-oldest
	@$(PYTHON) .ci/oldest.py >.venv-oldest/oldest.txt
	@.venv-oldest/bin/$(PIP) --constraint .venv-oldest/oldest.txt --editable '.[test]'
	@touch $@
