# vivavoce. `make run` and `make test` need only Python >= 3.11, make and git; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
REAL_LLM := .venv-real-llm
PREPARE := from vivavoce.engines import registry; from vivavoce.engines.asr import pocketsphinx_model as model; model.prepare(registry.cache_dir())
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test test-full test-real-llm check bench install clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

run: $(RUN_STAMP)  ## Install what is needed into .venv and start the server on http://127.0.0.1:8000
	@$(BIN)/vivavoce serve $(ARGS)

install: $(RUN_STAMP)  ## Install only

test: $(DEV_STAMP)  ## Run the tests (<= 15 minutes on 2 cores)
	@sh tests/system-packages.sh
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not full" --cov --cov-report=term $(ARGS)

test-full: $(DEV_STAMP)  ## Also the long tests (<= 60 minutes)
	@sh tests/system-packages.sh
	$(BIN)/python -m pytest -n 2 --dist loadgroup --cov --cov-report=term $(ARGS)

test-real-llm: $(DEV_STAMP) $(REAL_LLM)/.installed  ## The language model engine against llama.cpp's server (builds it: minutes)
	REAL_LLM_PYTHON="$(CURDIR)/$(REAL_LLM)/bin/python" $(BIN)/python -m pytest -m real_llm $(ARGS) tests/real_llm

check: $(DEV_STAMP)  ## Format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(DEV_STAMP)  ## Measure: latency, barge-in, start-up, size, accuracy; writes benchmarks/results
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## Remove .venv and what tools left behind
	rm -rf $(VENV) $(REAL_LLM) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "vivavoce needs Python 3.11 or later; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python -m venv failed; on Debian: apt-get install python3-venv"; exit 1; }

$(RUN_STAMP): requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install -q --require-hashes -r requirements/build.txt
	@$(BIN)/python -m pip install -q --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@echo "making the recogniser's language model ..."
	@$(BIN)/python -c "$(PREPARE)" || echo "it will be made at the first start"
	@touch $@

$(DEV_STAMP): requirements/dev.txt $(RUN_STAMP)
	@$(BIN)/python -m pip install -q --require-hashes -r requirements/dev.txt
	@touch $@

$(REAL_LLM)/.installed: | $(VENV)/bin/python
	@$(PYTHON) -m venv $(REAL_LLM)
	@echo "building llama-cpp-python into $(REAL_LLM); this takes minutes ..."
	@$(REAL_LLM)/bin/python -m pip install -q "llama-cpp-python[server]==0.3.36" gguf
	@touch $@
