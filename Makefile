# On a fresh machine with Python 3.11 or newer and make, each target first makes .venv and installs what it needs.
# Without make (Windows): docs/installing.md lists the same commands.

# The first of these that runs and is new enough; pyenv also has commands that only say "not found".
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
RUN := .venv/bin/python

# TORCH=cpu takes torch without CUDA, for a new .venv; on Linux that saves about 4 GB (CUDA's libraries and triton).
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
$(if $(filter-out cpu,$(TORCH)),$(error TORCH is cpu or not set, got $(TORCH)))

# Two tests at once, each with one thread: two processes with two threads each would starve one another on two cores.
TWO := -n 2
NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout=300

# Where nothing can be written into the home folder, as on some servers, Jupyter and matplotlib keep their files in .venv.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" || echo no),)
export JUPYTER_CONFIG_DIR := $(CURDIR)/.venv/home/config
export JUPYTER_DATA_DIR := $(CURDIR)/.venv/home/data
export JUPYTER_RUNTIME_DIR := $(CURDIR)/.venv/home/runtime
export IPYTHONDIR := $(CURDIR)/.venv/home/ipython
export MPLCONFIGDIR := $(CURDIR)/.venv/home/matplotlib
endif

.PHONY: help course lab html test test-unit test-browser test-nbval test-papermill stress hosts versions audit lint format \
	notebooks figures screenshots data checkpoint distil classifier bench neighbours sweep variants clean

help:
	@echo "make course      execute every notebook into build/course/ (ARGS=\"-p budget_seconds 600\" passes parameters)"
	@echo "                 TORCH=cpu, the first time: torch without CUDA, which saves 4 GB on Linux"
	@echo "make lab         open JupyterLab on my_notebooks/, your own copies (FRESH=\"03\" makes one anew)"
	@echo "make html        the stored notebooks as a small site in build/html/, to read offline, without Python"
	@echo "make test        unit tests, a browser, nbval on every stored notebook, papermill with other parameters"
	@echo "make stress      50 kills, a thousand calls, hundreds of damaged files, 66 presses of ■, each answer with 5 seeds"
	@echo "make hosts       a training and a sweep over two hosts, which are made here as root; ten minutes"
	@echo "make versions    the tests on Python 3.11, 3.12, 3.13 and the oldest packages (each downloads GBs)"
	@echo "make audit       known security holes in the pinned packages (asks PyPI)"
	@echo "make lint        ruff and a spelling check on code, pages and notebooks"
	@echo "make notebooks   execute every notebook and store its outputs; refreshes the README's table"
	@echo "make figures     the README's pictures, from the stored notebooks; its animations, from a run of 06"
	@echo "make screenshots the guidance lab in both themes, for the README (needs chromium)"
	@echo "make data        download the full MNIST set"
	@echo "make checkpoint  train the weights that ship (2.5 hours, full MNIST); make classifier: the judge of evaluate()"
	@echo "make distil      distil them into the student that ships (35 minutes, full MNIST)"
	@echo "make bench       ours against the starting point: speed, two minutes (FULL=1: quality too, hours, full MNIST)"
	@echo "make neighbours  speed beside other programs and of several kernels, four minutes (FULL=1: 15, stored)"
	@echo "make sweep       scores over the guidance weight, for notebook 08, four minutes (FULL=1: the whole grid)"
	@echo "make variants    the recipe with one thing changed, for notebook 08, ten minutes (FULL=1: two seeds)"

course: .venv/course
	$(RUN) tools/run_notebooks.py course $(ARGS)

# Copies to work in, which no update touches; FRESH="03 04" makes these anew and keeps the old ones beside them.
lab: .venv/course
	$(RUN) tools/run_notebooks.py mine $(FRESH)
	mkdir -p .venv/share/jupyter/lab/settings && cp tools/overrides.json .venv/share/jupyter/lab/settings/
	.venv/bin/jupyter lab --ServerApp.ip=127.0.0.1 --LabApp.default_url=/lab/tree/my_notebooks/00_welcome.ipynb

html: .venv/html
	$(RUN) tools/make_html.py

test: test-unit test-browser test-nbval test-papermill

test-unit: .venv/test
	$(RUN) -m pytest $(TWO) --dist loadfile --no-loadscope-reorder -m "not notebooks and not browser" $(ARGS)

# Skips where no chromium is installed; DDPM_BROWSER_TEST=1 makes that a failure.
test-browser: .venv/test
	$(RUN) -m pytest -m browser -rs $(ARGS)

# nbval starts each kernel in the notebook's own folder; started there too, paths mean the same everywhere.
# Its own warnings are not ours, so they are not errors here.
test-nbval: .venv/test
	cd notebooks && OMP_NUM_THREADS=1 ../$(RUN) -m pytest $(TWO) --dist loadfile $(NBVAL) -o filterwarnings= -p no:cacheprovider .

test-papermill: .venv/test
	OMP_NUM_THREADS=1 $(RUN) -m pytest $(TWO) -m notebooks $(ARGS)

# What make test does with fewer kills, calls and files.
stress: .venv/test
	DDPM_KILLS=50 DDPM_CASES=1200 DDPM_SEEDS=5 $(RUN) -m pytest -m "not notebooks and not browser" tests/checkpoint \
		tests/course/test_answers.py tests/course/test_mistakes.py tests/data tests/package/test_fuzz.py \
		tests/training/test_snapshot.py tests/training/test_determinism.py $(ARGS)
	DDPM_PRESSES=66 $(RUN) -m pytest -m notebooks tests/notebooks/test_interrupt.py $(ARGS)

# Two network namespaces; a test says what it skips for: root, iproute2, parallel, openssh-server.
hosts: .venv/test
	DDPM_HOSTS=1 $(RUN) -m pytest -rs tests/training/test_hosts.py $(ARGS)

# noxfile.py says which; one of them: make versions ARGS="-s \"tests(python='3.12', versions='pinned')\""
versions: .venv/maintain
	.venv/maintain/bin/python -m nox $(ARGS)

audit: .venv/maintain
	.venv/maintain/bin/python -m pip_audit -r constraints.txt --no-deps --disable-pip $(ARGS)

lint: .venv/test
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m codespell_lib

format: .venv/test
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

notebooks: .venv/course
	$(RUN) tools/run_notebooks.py store $(ARGS)
	$(if $(ARGS),,$(RUN) tools/sweep.py w_sweep store && $(RUN) tools/sweep.py what_mattered store)

figures: .venv/course
	$(RUN) tools/run_notebooks.py figures

screenshots: .venv/test
	DDPM_SCREENSHOTS=figures $(RUN) -m pytest -m browser

data: .venv/course
	$(RUN) -c "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); \
		from ddpm_lib import console, load_mnist; console.command(lambda: print(*map(len, load_mnist(source='full')), 'digits'))()"

# The weights that ship: notebook 03 on all 60,000 digits (make data, or DDPM_DATA), with a longer budget and a wider
# bottleneck.
checkpoint: .venv/course
	$(RUN) tools/run_notebooks.py course 03 -p data_source full -p budget_seconds 3000 -p budget_eps_seconds 5 \
		-p batch_size 64 -p widths "[16, 32, 96]" -p samples 2000 \
		-p checkpoint_path ddpm_lib/checkpoints/mnist.safetensors \
		-p provenance '{"command": "make checkpoint", "commit": "$(shell $(RUN) tools/commit.py)"}' $(ARGS)
	$(RUN) tools/refine.py

# The student that ships: it draws in 1, 2, 4 or 8 steps and hears w itself. 32 minutes of training, then its scores.
distil: .venv/course
	$(RUN) tools/distil.py $(ARGS)

# The digit classifier behind evaluate(), and the features of the test digits.
classifier: .venv/course
	$(RUN) tools/train_classifier.py $(ARGS)

# Ours against the starting point, in turns within one run; FULL=1 also trains and scores both (hours).
bench: .venv/course
	$(RUN) benchmarks/bench.py $(if $(FULL),--full) $(ARGS)

# One process beside other programs, and several kernels of the course at once; FULL=1 writes benchmarks/neighbours.json.
neighbours: .venv/course
	$(RUN) benchmarks/neighbours.py $(if $(FULL),--full) $(ARGS)

# Two processes, each with a notebook at a time; PROCESSES=8 for more. What is finished is skipped, so go on after a stop
# with the same command. make clean forgets the finished points. `exec`, so that a signal to make reaches the tool.
PROCESSES ?= 2
SWEEP = $(if $(FULL),--full) $(ARGS)

sweep: .venv/course
	exec $(RUN) tools/sweep.py w_sweep run all --processes $(PROCESSES) $(SWEEP)
	$(RUN) tools/sweep.py w_sweep gather $(SWEEP)

# Training with one thing changed, in the same way.
variants: .venv/course
	exec $(RUN) tools/sweep.py what_mattered run all --processes $(PROCESSES) $(SWEEP)
	$(RUN) tools/sweep.py what_mattered gather $(SWEEP)

clean:
	rm -rf build

.venv/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name yours with make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	touch $@

.venv/course: .venv/python $(TORCH:cpu=.venv/torch-cpu) pyproject.toml constraints.txt
	$(RUN) -m pip install -q -c constraints.txt -e ".[course]"
	touch $@

# `+cpu`, because pip asks other indexes, too, where it is told to. What torch needs comes from PyPI, with the course.
.venv/torch-cpu: .venv/python
	@test ! -e .venv/course || { echo "TORCH=cpu is for a new .venv: remove the folder .venv first"; exit 1; }
	@if $(RUN) -m pip install -q --retries 1 --timeout 15 --no-deps --index-url $(TORCH_INDEX) \
		$$(sed -nE 's/^(torch|torchvision)==([^ ;]+).*/\1==\2+cpu/p' constraints.txt); \
	then echo "torch without CUDA is installed: on Linux it saves about 4 GB on the disk"; \
	else echo "$(TORCH_INDEX) has no such torch or can't be reached: torch comes from PyPI, on Linux with 4 GB of CUDA"; fi
	touch $@

.venv/html: .venv/course
	$(RUN) -m pip install -q -c constraints.txt -e ".[course,html]"
	touch $@

.venv/test: .venv/course
	$(RUN) -m pip install -q -c constraints.txt -e ".[test]"
	touch $@

# Apart from the course's packages, with which these two don't always agree.
.venv/maintain: .venv/python
	$(RUN) -m venv .venv/maintain
	.venv/maintain/bin/python -m pip install -q nox==2026.10.20 pip-audit==2.10.1
