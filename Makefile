# make run    set up everything, train CNN-25, log to MLflow        make ui     look at the results
# make test   the test suite            make lint   ruff and mypy   make bench  the benchmarks
# make test-elsewhere   the tests in strange surroundings, see tests/elsewhere.sh (ARGS: which tests)
# make tensorflow   add TensorFlow beside JAX      make modisco   add TF-MoDISco
# make pages  write the pages of docs/ that are made of the code
# make docs   the documentation as a site, in site/      make tutorials  run its notebooks again
# make image  a Docker image for processors, or DEVICE=cuda      make lock  write constraints.txt from .venv

DEVICE := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU && echo cuda || echo cpu)
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
BENCHMARKS ?= data_generation scan_align filter_truth tomtom logos attributions results train pipeline passes
BACKEND_TESTS := $(addprefix tests/test_,model.py training.py training_pass.py fast_plan.py networks.py topology_runs.py attribution.py threads.py)
PYTEST := $(BIN)/python -m pytest -p no:randomly -n auto --maxprocesses 4 --dist loadfile
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
UV := $(shell command -v uv 2>/dev/null)
install = $(if $(UV),uv pip install --quiet --python $(BIN)/python --constraint constraints.txt $(1) || )$(PIP) $(1)
# `make run P=dataset=my.h5` goes to the experiment `my`, unless MLflow's environment names one
EXPERIMENT ?= $(or $(basename $(notdir $(patsubst dataset=%,%,$(filter dataset=%,$(P))))),synthetic)
NAMED := $(if $(MLFLOW_EXPERIMENT_NAME)$(MLFLOW_EXPERIMENT_ID),,--experiment-name $(EXPERIMENT))
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run ui test test-elsewhere lint bench tensorflow modisco pages docs tutorials image lock clean
.DELETE_ON_ERROR:

run: .venv/installed-$(DEVICE)
	@$(BIN)/python -m mlproject check
	$(BIN)/mlflow run . --env-manager local $(NAMED) -P pool1=25 $(foreach p,$(P),-P $(p))

ui: .venv/installed-$(DEVICE)
	@$(BIN)/python -m mlproject check --links
	$(BIN)/mlflow ui --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(CURDIR)/mlflow.db}"

test: .venv/installed-dev
	$(if $(ARGS),,KERAS_BACKEND=tensorflow $(PYTEST) -q $(BACKEND_TESTS))
	$(if $(ARGS),,KERAS_BACKEND=jax) $(PYTEST) $(ARGS)

test-elsewhere: .venv/installed-dev
	tests/elsewhere.sh $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy

bench: .venv/installed-dev
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

tensorflow: .venv/installed-tensorflow

modisco: .venv/installed-$(DEVICE)
	$(call install,--editable '.[modisco]')

pages: .venv/installed-dev
	for page in parameters troubleshooting; do $(BIN)/python docs/$$page.py || exit 1; done

docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "open site/index.html"

tutorials: .venv/installed-$(DEVICE) .venv/installed-docs
	$(BIN)/python docs/notebooks.py

image:
	docker build --target $(DEVICE) --tag mlproject:$(DEVICE) .

lock: .venv/installed-dev
	$(BIN)/python -m pip freeze --exclude-editable | grep -iv '^\(tensorflow\|nvidia\|jax-cuda\)' > constraints.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11, 3.12 or 3.13 is needed and none was found: install one, or name it: make PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "error: '$(PYTHON) -m venv' failed: on Debian and Ubuntu, apt-get install python3-venv"; exit 2; }

.venv/installed-$(DEVICE): requirements.txt constraints.txt pyproject.toml | .venv/bin/python
	@echo "installing JAX, Keras, MLflow and what they need into .venv: some 300 MB, a minute or two"
	$(call install,--requirement requirements.txt $(if $(filter cuda,$(DEVICE)),'jax[cuda12]'))
	$(call install,--no-deps --editable .)
	@touch $@

.venv/installed-tensorflow: requirements-$(DEVICE).txt .venv/installed-$(DEVICE)
	@echo "installing TensorFlow into .venv: some 300 MB more"
	$(call install,--requirement requirements-$(DEVICE).txt)
	@touch $@

.venv/installed-docs: requirements-docs.txt constraints.txt | .venv/bin/python
	$(call install,--requirement requirements-docs.txt)
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements-docs.txt .venv/installed-tensorflow
	$(call install,--requirement requirements-dev.txt)
	@touch $@
