# `make reproduce` and `make test` are all a fresh machine needs; every target makes .venv by itself.
SHELL := /bin/bash
export OMP_NUM_THREADS ?= 1
BIN := .venv/bin
PRESET ?= demo
SEEDS ?= 3
DATA_ROOT ?=
CONTINUE ?=
ANEW ?=
ONLY ?=
PYTHON ?= python3.12 python3.11 python3

.DEFAULT_GOAL := help
.PHONY: help reproduce test lint lab browser fire site-check snapshot gpu-check constraints clean

help:  ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

reproduce: .venv/ready  ## the whole thesis on the demo data; ends with the path of the report (PRESET=, SEEDS=3, 100-104 or 100, for one; DATA_ROOT=, ONLY=; CONTINUE=1 goes on from the published scores of PRESET)
	$(BIN)/thesis reproduce --preset $(PRESET) --seeds '$(SEEDS)' \
	  $(if $(DATA_ROOT),--data-root $(DATA_ROOT)) $(if $(ONLY),--only $(ONLY)) \
	  $(if $(CONTINUE),--published reports/published/$(PRESET))

test: .venv/ready  ## all tests, notebooks included
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: .venv/ready  ## style and types, code and notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lab: .venv/ready  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

browser: .venv/ready  ## open the reports in headless Chromium without a network and take screenshots
	$(BIN)/python -m pytest tests/browser

fire: .venv/ready  ## kills, malformed inputs, full disks, lost schedulers, ctrl-C, hangs, for minutes to hours; writes docs/fire.md (KIND=kills, CASES=17 to repeat one)
	PYTHONPATH=.:tests $(BIN)/python -m fire $(if $(KIND),--kind $(KIND)) $(if $(CASES),--cases $(CASES))

site-check: .venv/ready  ## screenshots and an accessibility check (axe-core, from npm) of the site of reports (PRESET=)
	$(BIN)/python tests/browser/site_check.py --reports reports/$(PRESET)

snapshot: .venv/ready  ## add the reports of PRESET to reports/published, pages under 10 MB, scores under 20 MB (ANEW=1 drops what is there); those of the demo also give the README its pictures
	$(BIN)/thesis snapshot reports/$(PRESET) --output reports/published/$(PRESET) \
	  $(if $(ANEW),--anew) $(if $(filter demo,$(PRESET)),--pictures docs)

gpu-check:  ## measure this machine's GPU in 8 minutes; needs the core dependencies alone, of .venv or of python3
	$$(test -x $(BIN)/python && echo $(BIN)/python || echo python3) -m companion.cost.gpu.check

constraints: .venv/ready  ## write constraints.txt anew from .venv
	$(BIN)/pip freeze --exclude-editable > .venv/freeze.txt
	grep -v '@ file' .venv/freeze.txt > constraints.txt

clean:  ## delete the environment, the results and the reports, except the published ones
	rm -rf .venv runs
	find reports -mindepth 1 -maxdepth 1 ! -name published ! -name README.md -exec rm -rf {} +

.venv/ready: pyproject.toml constraints.txt
	@python=$$(for p in $(PYTHON); do \
	    $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null \
	    && echo $$p && break; done); \
	  if [ -z "$$python" ]; then \
	    echo "Python 3.11 or 3.12 with venv is needed (Debian: apt install python3 python3-venv)"; exit 1; fi; \
	  echo "making .venv with $$($$python --version); PyTorch is a download of about 3 GB"; \
	  $$python -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[companion,dev]'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[crf]' \
	  || echo "note: no dense CRF (pydensecrf2 needs a C++ compiler and the headers of Python); its rows will be shown as not run"
	@touch $@
