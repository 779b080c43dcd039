# Every target works on a fresh checkout: it makes its own .venv (with uv if it is there, else with pip).
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
else
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
endif
INSTALL_BENCH := $(subst $(BIN),.venv-bench/bin,$(INSTALL))

.PHONY: demo test lint types unit names simulate failpoints sweep crash crash-actors reliability faults bench bench-actors bench-load lock clean

demo: .venv/run.stamp  ## start a daemon, create 2,000 containers, kill it, prove that nothing was lost
	$(BIN)/python -m examples.demo

test: lint types unit  ## everything that CI checks

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.stamp
	$(BIN)/mypy

unit: .venv/dev.stamp
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile $(PYTEST_ARGS)

bench: .venv/dev.stamp  ## measure creates beside dockerd and podman, on a quiet machine; BENCH_ARGS='--help'
	$(BIN)/python -m contrib.bench $(BENCH_ARGS)

bench-actors: .venv-bench/stamp  ## measure the actors beside pykka, xoscar, thespian and triotp; BENCH_ARGS='--help'
	.venv-bench/bin/python -m contrib.bench_actors $(BENCH_ARGS)

bench-load: .venv/run.stamp  ## load a large image, beside dockerd if it is there; BENCH_ARGS='--help'
	$(BIN)/python -m contrib.bench_load $(BENCH_ARGS)

names: .venv/dev.stamp  ## have 10,000 creates at once draw their names: no two may have the same
	NAMES=10000 $(BIN)/python -m pytest --durations 1 tests/daemon/create/test_contended_names.py -k draw

simulate: .venv/dev.stamp  ## run the actors and the daemon under SEEDS seeds, others than last time; FIRST=n repeats a run
	$(BIN)/python -m tests.simulate --seeds $(or $(SEEDS),1000) $(if $(FIRST),--first $(FIRST)) $(if $(SCENARIO),--scenario $(SCENARIO))

failpoints: .venv/dev.stamp  ## kill the daemon, and refuse it the disk, at the first HITS calls of every failpoint
	FAILPOINT_HITS=$(or $(HITS),3) $(BIN)/python -m pytest --numprocesses=auto tests/integration/test_failpoints.py

sweep: .venv/dev.stamp  ## refuse each system call of one create and one load, or kill, or cut the power after it; minutes, needs strace
	SWEEP=1 $(BIN)/python -m pytest --numprocesses=auto tests/integration/test_sweep.py \
		tests/integration/test_crash_states.py

crash: .venv/run.stamp  ## kill the daemon, stop it, cut its power, under load, and audit what is left; CRASH_ARGS='--help'
	$(BIN)/python -m contrib.crash $(CRASH_ARGS)

crash-actors: .venv/run.stamp  ## crash each actor while 64 clients create, and measure what they notice; CRASH_ARGS='--help'
	$(BIN)/python -m contrib.crash_actors $(CRASH_ARGS)

reliability: .venv/run.stamp  ## dockerd, podman and boatyard on bad days; the tables go into docs/reliability.md and README.md
	$(BIN)/python -m contrib.reliability --write $(RELIABILITY_ARGS)

faults: .venv/dev.stamp  ## put known faults into copies of the actors, one by one: the tests must catch them all
	$(BIN)/python -m tests.actors.faults

lock: .venv/dev.stamp  ## pin the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --upgrade \
		pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --upgrade \
		pyproject.toml --all-extras --group dev --output-file requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --upgrade \
		pyproject.toml --all-extras --group bench --output-file requirements-bench.lock

clean:
	rm -rf .venv .venv-bench .mypy_cache .ruff_cache .hypothesis build dist

.venv/bin/python .venv-bench/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "boatyard needs Python 3.11 or newer; set PYTHON=...")'
ifdef UV
	$(UV) venv --quiet --python $(PYTHON) $(@D:/bin=)
else
	$(PYTHON) -m venv $(@D:/bin=)
endif

.venv/run.stamp: .venv/bin/python requirements.lock pyproject.toml
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --editable .
	@touch $@

.venv/dev.stamp: .venv/bin/python requirements-dev.lock pyproject.toml
	$(INSTALL) --require-hashes -r requirements-dev.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ .venv/run.stamp

# Without dependencies: the lock is complete, and triotp's own word on trio is overridden in pyproject.toml.
.venv-bench/stamp: .venv-bench/bin/python requirements-bench.lock
	$(INSTALL_BENCH) --no-deps --require-hashes -r requirements-bench.lock
	@touch $@
