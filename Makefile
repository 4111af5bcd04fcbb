# Every target sets itself up: a .venv beside this file, installed with pip under constraints.txt.
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# --no-compile: modules are compiled when they are first used, which is a small part of them.
PIP := $(BIN)/pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt
SOURCES := pyproject.toml constraints.txt
# Not ?=: an OUT that happens to stand in the environment must not decide where results go.
OUT := earmark-demo
RUN :=
TABLES :=
WHOLE :=
BUILD := $(CURDIR)/build
NOTEBOOKS := notebooks/*.ipynb

.PHONY: help demo app test fuzz lint format bench screenshots pictures notebooks docs clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11; run: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# The pip that comes with Python 3.11 takes half as long again as this one; without it all goes on.
	-$(PIP) --upgrade pip

$(VENV)/installed: $(VENV)/pyvenv.cfg $(SOURCES)
	$(PIP) -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/pyvenv.cfg $(SOURCES)
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/installed

demo: $(VENV)/installed  ## run the main job on a real incentive experiment; results in earmark-demo/
	$(BIN)/earmark demo --out $(OUT)

app: $(VENV)/installed  ## the analysts' app in the browser, on the demo
	$(BIN)/earmark app $(RUN)

test: $(VENV)/installed-dev  ## all tests
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

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

bench: $(VENV)/installed-bench  ## benchmark tables into docs/tables (hours; TABLES="coverage placebo": some)
	$(BIN)/python -m tests.benchmarks.tables $(if $(WHOLE),--whole) $(TABLES)

screenshots: $(VENV)/installed-dev  ## take the pictures of the app anew
	$(BIN)/python -m tests.app.screenshots

pictures: $(VENV)/installed  ## draw the guide's pictures anew, and print the demo's output into its page
	$(BIN)/python docs/draw_demo.py
	$(BIN)/python docs/draw_how_it_works.py

docs: $(VENV)/installed-dev  ## build the guide into build/site; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir $(BUILD)/site

notebooks: $(VENV)/installed-dev  ## run the notebooks and render them to build/notebooks/*.html
	@# Talks to the kernels through files of a temporary folder: no ports, and nothing left at home.
	run=$$(mktemp -d) && trap 'rm -rf "$$run"' EXIT && IPYTHONDIR=$$run $(BIN)/jupyter-nbconvert --to html --execute \
		--log-level ERROR --KernelManager.transport=ipc --KernelManager.ip=$$run/kernel --output-dir $(BUILD)/notebooks $(NOTEBOOKS)
	@sed -i.bak 's/\.ipynb"/.html"/g; s#"\.\./docs/\([a-z-]*\)\.md#"../site/\1.html#g' $(BUILD)/notebooks/*.html && rm $(BUILD)/notebooks/*.html.bak

clean:  ## remove what make made
	rm -rf $(VENV) earmark-demo earmark-evaluation .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build/site build/notebooks
