# Every verb sets itself up in .venv on its first run, and again when pyproject.toml has changed.
# Another interpreter: make PYTHON=python3.13 test        Arguments: make test ARGS="tests/test_project.py -x"

PYTHON = python3
ARGS =
VENV = .venv
# A version, for benchmarks to be comparable and because a newer one may bring several gigabytes of GPU libraries.
TORCH = torch==2.13.0
RUN = $(VENV)/bin/python
# Python compiles a module when it is first imported; compiling all of them at once would take a third of the set-up.
PIP = $(RUN) -m pip --disable-pip-version-check install --quiet --no-compile

# pip into one environment at a time, also under make -j.
.NOTPARALLEL:
# A PYTHONPATH of the caller would mix foreign packages into the environment.
unexport PYTHONPATH PYTHONHOME

.PHONY: help demo test lint types bench oracles notebook clean

help: ## show these verbs
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | while IFS='	' read -r verb does; do printf 'make %-8s %s\n' "$$verb" "$$does"; done

demo: $(VENV)/.demo ## check the gradients, train on real digits, write a report
	$(VENV)/bin/tinygrad-mlp demo $(ARGS)

# One BLAS thread in each of the parallel workers: more would fight over the same cores.
# Coverage of a part of the tests would say nothing.
test: $(VENV)/.dev ## run every test, print branch coverage
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist worksteal $(if $(strip $(ARGS)),$(ARGS),--cov=tinygrad_mlp)

lint: $(VENV)/.dev ## check style, formatting and the direction of imports
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(VENV)/bin/lint-imports

types: $(VENV)/.dev ## check the package's types
	$(RUN) -m mypy

# The two variables pin a kernel for other purposes; a benchmark has to run the kernel that users get.
bench: $(VENV)/.bench ## compare speed and memory with PyTorch, JAX, scikit-learn and others
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(RUN) benchmarks/run.py $(ARGS)

# One BLAS thread per process, as in the tests.
oracles: $(VENV)/.with-torch $(VENV)/.with-jax ## compare 10,000 random graphs with PyTorch and JAX
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(RUN) tests/oracles.py $(ARGS)

# By its Python, not by jupyter: the kernel is then the one of this environment, wherever others are registered.
notebook: $(VENV)/.dev ## run the notebooks, write them with their output to runs/
	@mkdir -p runs
	@set -e; for page in notebooks/*.py; do \
		$(RUN) -m jupytext --quiet --to ipynb --set-kernel python3 --execute --output runs/$$(basename $$page .py).ipynb $$page; \
		echo "runs/$$(basename $$page .py).ipynb"; \
	done

clean: ## remove environments, caches and builds
	rm -rf $(VENV) .bootstrap build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find tinygrad_mlp tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.demo: pyproject.toml $(VENV)/.made
	@echo "Installing the demo's libraries into $(VENV) ..."
	@$(PIP) --editable '.[cli,plot,graph]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.made
	@echo "Installing the development tools into $(VENV) ..."
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.dev
	@echo "Installing the libraries to compare with into $(VENV) ..."
	@$(PIP) --editable '.[bench]'
	@touch $@

$(VENV)/.with-%: $(VENV)/.dev
	@echo "Installing $*, to compare with, into $(VENV) ..."
	@$(PIP) $(patsubst torch,$(TORCH),$*)
	@touch $@

# Where ensurepip is missing (Debian without python3-venv), virtualenv brings its own pip; a folder is allowed where PEP 668
# forbids installing into the system. Not uv: it does not read pip's configuration, so a private index would be missed.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	@rm -rf $(VENV)
	@if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		$(PYTHON) -m venv $(VENV); \
	else \
		$(PYTHON) -m pip --disable-pip-version-check install --quiet --upgrade --target .bootstrap virtualenv && \
		PYTHONPATH=.bootstrap $(PYTHON) -m virtualenv --quiet $(VENV); \
	fi || { echo 'No virtual environment could be made. Install the venv module (Debian: apt-get install python3-venv), then run make again.' >&2; exit 1; }
	@touch $@
