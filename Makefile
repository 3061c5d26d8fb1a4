# Every target works on a fresh clone with nothing but Python 3.11+ and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1
TEST_ENV := OMP_NUM_THREADS=1 PYTHONWARNINGS=default

.DEFAULT_GOAL := help
.PHONY: help install demo test test-full soak check format docs bench clean lab dashboards bench-ui picture bench-estimator bench-compress bench-serve

help:  ## Show what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## Create .venv and install everything into it

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@echo "Installing into .venv: PyTorch, ONNX Runtime, JupyterLab and others, about 400 MB, 2-5 minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

demo: install  ## Data to a served, compressed model, on real data, in two minutes
	@$(BIN)/workbench demo

test: install  ## The tests (10 minutes at the most)
	@$(TEST_ENV) $(BIN)/python -m pytest -q -n 2 --ignore=tests/browser
	@$(TEST_ENV) $(BIN)/python -m pytest -q tests/browser

test-full: install  ## The tests and the slow matrix
	@$(TEST_ENV) $(BIN)/python -m pytest -q -n 2 -m "full or not full" --ignore=tests/browser
	@$(TEST_ENV) $(BIN)/python -m pytest -q -m "full or not full" tests/browser

soak: install  ## A million requests and 200 swaps, faults, a million made-up inputs (ARGS="load --requests N")
	@$(TEST_ENV) $(BIN)/python -m tests.soak $(ARGS)

check: install  ## Lint, format, types, clean notebooks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tests.contract.clean_notebooks

format: install  ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

docs: install  ## Write workbench/REFERENCE.md from the code
	@$(BIN)/python -m tests.contract.reference

bench: install  ## Print each figure of the README beside its goal
	@$(BIN)/python -m tests.benchmarks

bench-compress: install  ## Measuring, estimates, and the search beside others; also as JSON in reports/ (hours; ARGS="--seeds 1" for the search)
	@$(BIN)/python -m pip install --quiet --editable '.[bench-compress]'
	@mkdir -p reports
	@$(TEST_ENV) $(BIN)/python -m tests.benchmarks measuring requantizing --json reports/bench-measuring.json
	@$(TEST_ENV) $(BIN)/python -W ignore -m tests.benchmarks.estimator --json reports/bench-estimator.json
	@$(TEST_ENV) $(BIN)/python -W ignore -m tests.benchmarks.compress --json reports/bench-compress.json $(or $(ARGS),--seeds 5)

clean:  ## Remove the environment and the workspace of this folder
	@rm -rf .venv .workbench reports dist

lab: install  ## JupyterLab on the first tutorial (ARGS="--no-browser --port=9000")
	@$(BIN)/workbench lab $(ARGS)

dashboards: install  ## The trade-off dashboard by Voila, read-only
	@$(BIN)/workbench dashboards $(ARGS)

bench-estimator: install  ## Figures of the estimates beside their goals (ARGS="--full --markdown FILE": five seeds)
	@$(BIN)/python -m pip install --quiet --editable '.[bench-compress]'
	@$(TEST_ENV) $(BIN)/python -m tests.benchmarks.estimator $(ARGS)

bench-serve: install  ## The endpoint and other servers under wrk (apt install wrk) (ARGS="--seconds 10")
	@$(BIN)/python -m pip install --quiet --editable '.[bench-peers]'
	@$(TEST_ENV) $(BIN)/python -W ignore -m tests.benchmarks.serve $(ARGS)

bench-ui: install  ## Figures of the screen beside their goals (ARGS=--full: ten minutes; ARGS="--json FILE")
	@$(TEST_ENV) $(BIN)/python -m tests.browser.bench $(ARGS)

picture: install  ## Take the README's picture: the explorer on the demo's study, in a real JupyterLab
	@$(TEST_ENV) $(BIN)/python -m tests.browser.picture
