# Every target sets itself up: a .venv beside this file, installed with pip under constraints.txt.
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := pyproject.toml constraints.txt
# Not ?=: an OUT that happens to stand in the environment must not decide where results go.
OUT := earmark-demo

.PHONY: help demo app test fuzz lint format bench bench-batch bench-app bench-end-to-end bench-long-tail screenshots readme notebooks docs clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11; run: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/pyvenv.cfg $(SOURCES)
	$(PIP) -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/pyvenv.cfg $(SOURCES)
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/installed

demo: $(VENV)/installed  ## run the main job on a real incentive experiment; results in earmark-demo/
	$(BIN)/earmark demo --out $(OUT)

app: $(VENV)/installed  ## the analysts' app in the browser, on the demo
	$(BIN)/earmark app

test: $(VENV)/installed-dev  ## all tests
	$(BIN)/pytest -n auto --dist loadgroup

FUZZ := EARMARK_FUZZ=20000 EARMARK_FUZZ_FILES=2000 EARMARK_FUZZ_DECIDE=1000
fuzz: $(VENV)/installed-dev  ## twenty thousand plans, two thousand files, a thousand random tables decided (about 20 minutes)
	$(FUZZ) $(BIN)/pytest -n 0 -s --timeout 3600 tests/allocation/jobs/test_plan_fuzz.py \
		tests/allocation/jobs/tables/test_tables_fuzz.py tests/allocation/jobs/batch/test_decide_fuzz.py

lint: $(VENV)/installed-dev  ## format, style, types, arrows between packages, declared dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

format: $(VENV)/installed-dev  ## put the code into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/installed-bench: $(VENV)/installed-dev
	$(PIP) -e '.[dev,bench]'
	@touch $@

bench: $(VENV)/installed-bench  ## print the benchmark tables (about two hours; let nothing else run)
	$(BIN)/python tests/benchmarks/allocation.py
	$(BIN)/python tests/benchmarks/certificates.py
	$(BIN)/python tests/benchmarks/solve_exactness.py
	$(BIN)/python tests/benchmarks/knapsack.py
	$(BIN)/python tests/benchmarks/coverage.py
	$(BIN)/python tests/benchmarks/verified_coverage.py
	$(BIN)/python tests/benchmarks/placebo.py
	$(BIN)/python tests/benchmarks/hillstrom.py
	$(BIN)/python tests/benchmarks/open_bandit.py
	$(BIN)/python tests/benchmarks/evaluation_speed.py
	$(BIN)/python tests/benchmarks/learners.py
	$(BIN)/python tests/benchmarks/neural.py
	$(BIN)/python tests/benchmarks/adjustment.py
	$(BIN)/python tests/benchmarks/metrics_peers.py

bench-batch: $(VENV)/installed-dev  ## the nightly job: time, memory, a billion users, killed 150 times (about an hour)
	$(BIN)/python tests/benchmarks/batch.py
	$(BIN)/python tests/benchmarks/billion.py --check
	$(BIN)/python tests/benchmarks/killed.py

bench-end-to-end: $(VENV)/installed-bench  ## end-to-end against two-stage: resumable, some ten hours in all
	$(BIN)/python tests/benchmarks/end_to_end_speed.py
	$(BIN)/python tests/benchmarks/end_to_end_real.py
	$(BIN)/python tests/benchmarks/end_to_end.py run
	$(BIN)/python tests/benchmarks/end_to_end.py table
	$(BIN)/python tests/benchmarks/end_to_end.py chart

bench-long-tail: $(VENV)/installed-dev  ## gradient aggregation, plugins and memory against joint training; resumable, hours
	$(BIN)/python tests/benchmarks/longtail_memory.py
	$(BIN)/python tests/benchmarks/longtail.py run
	$(BIN)/python tests/benchmarks/longtail.py table
	$(BIN)/python tests/benchmarks/longtail.py chart --settings paper --out docs/long-tail.png

bench-app: $(VENV)/installed-dev  ## the app: first paint, slider, memory, ten sessions (about ten minutes)
	$(BIN)/python -m tests.benchmarks.app

screenshots: $(VENV)/installed-dev  ## take the README's pictures of the app anew
	$(BIN)/python -m tests.app.screenshots

readme: $(VENV)/installed  ## draw the README's and the guide's pictures, and print the demo's output anew
	$(BIN)/python docs/refresh_readme.py
	$(BIN)/python docs/draw_how_it_works.py

$(VENV)/installed-docs: $(VENV)/pyvenv.cfg $(SOURCES)
	$(PIP) -e '.[docs]'
	@touch $@

docs: $(VENV)/installed-docs  ## build the guide into build/site; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

notebooks: $(VENV)/installed-dev  ## run the notebooks and render them to build/notebooks/*.html
	@# Talks to the kernels through files of a temporary folder: no ports, and nothing left at home.
	run=$$(mktemp -d) && trap 'rm -rf "$$run"' EXIT && IPYTHONDIR=$$run $(BIN)/jupyter-nbconvert --to html --execute \
		--log-level ERROR --KernelManager.transport=ipc --KernelManager.ip=$$run/kernel --output-dir build/notebooks notebooks/*.ipynb
	@sed -i.bak 's/\.ipynb"/.html"/g' build/notebooks/*.html && rm build/notebooks/*.html.bak

clean:  ## remove what make made
	rm -rf $(VENV) earmark-demo earmark-evaluation .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build/site
