# The workbook: one verb a line. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
WEEK   ?= 1
SOURCE ?= exchange
TESTS  ?= tests
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# TORCH_BACKEND=cpu chooses the smaller build of torch without CUDA; the choice holds when an update is installed later
CHOSEN := $(VENV)/.torch-backend
TORCH_BACKEND ?= $(shell cat $(CHOSEN) 2>/dev/null)
export UV_TORCH_BACKEND := $(TORCH_BACKEND)
ifeq ($(UV_TORCH_BACKEND),)
unexport UV_TORCH_BACKEND
endif
# a sandbox keeps no bytecode: without this every start of one compiles torch anew, which doubles its 3 s
export UV_COMPILE_BYTECODE := 1
export PATH := $(abspath $(BIN)):$(PATH)

# in a container the user is often root, which Jupyter wants to be told
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

# bubblewrap shuts learners' code in while it is graded; where it cannot be installed, `workbook doctor` says so
APT := $(if $(filter 0,$(shell id -u)),,sudo -n) apt-get
SANDBOX := test "$$(uname)" != Linux || command -v bwrap >/dev/null || ! command -v apt-get >/dev/null || { \
	echo "installing bubblewrap"; { $(APT) update -qq && $(APT) install -y -qq bubblewrap; } >/dev/null 2>&1 || \
	echo "bubblewrap could not be installed; you need it to grade other people's work: see workbook doctor"; }

# one line in place of the tools' own pages of retries, which go into a log
LOG := $(VENV)/setup.log
UNREACHABLE = echo "error: packages cannot be downloaded (reason: $(1)) -> connect to a network, or set PIP_INDEX_URL and UV_DEFAULT_INDEX to a mirror, then run it again" >&2; exit 1
# one small request; fails at once where there is no network
REACHABLE := printf 'pip\n' | UV_HTTP_RETRIES=0 UV_HTTP_TIMEOUT=20 $(BIN)/uv pip compile --quiet --no-deps --no-cache --no-header - >/dev/null 2>$(LOG)

.DEFAULT_GOAL := help
.PHONY: help setup lab demo weeks verify bundle collect grade desk feedback report export test test-all coverage lint bench bench-grading soak-grading release-check gpu lock clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv and install everything in it (TORCH_BACKEND=cpu: smaller torch, no CUDA)

$(READY): pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("error: Python %d.%d -> use 3.11, 3.12 or 3.13: make setup PYTHON=python3.12" % v)'
	@test -x $(BIN)/python || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "$(TORCH_BACKEND)" >$(CHOSEN)
	@test -x $(BIN)/uv || { echo "installing uv into $(VENV)"; \
		$(BIN)/python -m pip install --quiet --retries 1 --timeout 20 uv 2>$(LOG) || { $(call UNREACHABLE,$(LOG)); }; }
	@$(REACHABLE) || $(BIN)/uv pip install --python $(BIN)/python --offline --quiet -r requirements.txt 2>>$(LOG) || { $(call UNREACHABLE,$(LOG)); }
	@echo "installing the pinned packages of requirements.txt (TORCH_BACKEND=cpu: without CUDA)"
	@$(BIN)/uv pip install --python $(BIN)/python -r requirements.txt || { test $$? -ne 2 || { $(call UNREACHABLE,above); }; exit 1; }
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@$(SANDBOX)
	@touch $(READY)
	@echo "ready: $$($(BIN)/python -c 'import torch; print("torch", torch.__version__)')"

lab: setup ## copy released weeks into work/ (never overwriting) and open JupyterLab with the start page
	@workbook lab $(AS_ROOT)

demo: setup ## make a sample class from week $(WEEK), grade it, show the grades
	@workbook demo $(WEEK)

weeks: setup ## build all notebooks: solutions/ -> weeks/
	@workbook build

verify: setup ## prove the tests of all weeks: misconceptions rejected, alternatives accepted
	@workbook verify

grade: setup ## grade the submissions of week $(WEEK) in course/submitted/
	@workbook grade $(WEEK)

collect: setup ## bring what was submitted for week $(WEEK) into course/: make collect WEEK=1 SOURCE=submissions.zip
	@workbook collect "$(SOURCE)" $(WEEK)

feedback: setup ## write the pages of week $(WEEK) again, with points and comments from the desk
	@workbook feedback $(WEEK)

report: setup ## one page about the class in week $(WEEK): points, difficulty, misconceptions, who needs help
	@workbook report $(WEEK)

export: setup ## grades of all weeks for Canvas and Moodle: course/export/
	@workbook export

bundle: setup ## the archive for learners: build/bundle/workbook.zip
	@workbook bundle

desk: setup ## open nbgrader's formgrader on course/ (written answers, single submissions)
	@jupyter lab $(AS_ROOT) --LabApp.default_url=/formgrader --ServerApp.jpserver_extensions="{'autograder.desk': True}"

lint: setup ## ruff and mypy
	@ruff check . && ruff format --check . && mypy

# at the end it prints the slowest tests, the time of each week, and the time that 42 weeks would take
EVERYTHING := -n 2 --dist loadscope --durations 20 --nbval-lax --nbval-cell-timeout 600 tests build/source

test: lint ## everything that CI runs: lint, types, unit tests, every notebook; long checks for week 1 and changed weeks
	@workbook build --check
	@workbook build
	@OMP_NUM_THREADS=1 pytest $(EVERYTHING)

test-all: lint ## as test, with every misconception and long check of every week
	@workbook build --check
	@workbook build
	@WORKBOOK_WEEKS=all OMP_NUM_THREADS=1 pytest $(EVERYTHING)

coverage: setup ## lines that the tests run, in all their processes: a table by package, pages in build/coverage/html
	@OMP_NUM_THREADS=1 python -m tests.covered -q -n 2 --dist loadscope $(TESTS)

bench-grading: setup ## workbook grade beside plain nbgrader: seconds, CPU, memory, scores; one, two workers, Dask, again (15 minutes)
	@OMP_NUM_THREADS=1 python -m benchmarks.grading
	@OMP_NUM_THREADS=1 python -m benchmarks.scale

soak-grading: setup ## 1,000 submissions, 100 regrades, 50 killed runs: nothing grows, changes or is lost (15 minutes)
	@python -m benchmarks.soak

bench: bench-grading ## the same

release-check: setup ## whether version, CHANGELOG and tag of this commit agree
	@python -m tests.release

gpu: setup ## execute the notebook of week $(WEEK) with PROFILE=gpu
	@PROFILE=gpu workbook record --keep-nothing $(WEEK)

# torch names its CUDA libraries itself; left out of the pins, TORCH_BACKEND can choose a build without them
lock: setup ## pin everything: pyproject.toml -> requirements.txt
	@mkdir -p build
	@uv pip compile --quiet --universal --python-version 3.11 --group dev --no-emit-index-url --no-header \
	    --no-annotate --upgrade --output-file build/requirements.txt pyproject.toml
	@grep -vE '^(nvidia-|cuda-|triton==)' build/requirements.txt > requirements.txt

clean: ## remove what can be made again (build/ and caches; never work/ or course/)
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache
