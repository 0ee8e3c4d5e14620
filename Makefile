# Every target in one readable line or two; `.ci/run` runs `lint`, then `test`.
TARGET := $(or $(CARGO_TARGET_DIR),target)
VENV := $(TARGET)/venv
PYTHON ?= python3
PY := $(VENV)/bin/python
NEW := src/cli/new/templates
# Most of a test's time goes to waiting for processes: twice as many at once as there are cores.
TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

.PHONY: help booted demo test forget-proof test-rust test-simulate test-python simulate mutants kill-loop power-cut wires fuzz bench lint fmt audit install-test-needs

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

demo: ## a made-up site, the daemon and plugins in three languages
	cargo run --release -- demo

test: install-test-needs forget-proof test-rust test-simulate test-python booted ## installs what the tests need and runs them all
	@tests/proof/collect

forget-proof:
	@tests/proof/collect --clear

install-test-needs: $(VENV)/.installed
	@tests/install-debian

$(VENV)/.installed: tests/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

test-rust:
	cargo build --workspace
	RUST_TEST_THREADS=$(TEST_THREADS) RUST_BACKTRACE=0 SGEVENTD_TEST_PYTHON=$(abspath $(PY)) cargo test --workspace

test-simulate:
	cargo run --release --quiet -p sgeventd-simulate -- --seeds 1000 --coverage --at-least 200 --proof $(TARGET)/proof/runs

test-python:
	cd sdk-python && $(abspath $(PY)) -m pytest -q
	$(PYTHON) sdk-python/tests/run_all_pythons.py
	$(PY) -m pytest -q tests/python/sandbox tests/python/official

SEEDS ?= 100000
simulate: ## a whole daemon under virtual time: SEEDS=n of them, or SEED=n alone with its story
	cargo run --release --quiet -p sgeventd-simulate -- $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --proof $(TARGET)/proof/runs)

mutants: ## breaks the real code in one line after the other, and lets the simulator find it; NAMES="a b" for some
	tests/simulate/mutate $(NAMES)

KILLS ?= 1000
kill-loop: ## kills the daemon KILLS times (about 2 s each; SEED=n draws the moments) and judges what is left
	SGEVENTD_KILLS=$(KILLS) SGEVENTD_SEED=$(SEED) cargo test --test kill_loop -- --nocapture

CUTS ?= 5000
power-cut: ## cuts the power CUTS times in a record of the daemon, and as often in one of the journal alone
	SGEVENTD_CUTS=$(CUTS) cargo test --lib -- --nocapture journal::crashes
	SGEVENTD_CUTS=$(CUTS) SGEVENTD_SEED=$(SEED) cargo test --test it -- --nocapture power_cuts

booted: install-test-needs ## the packaged unit under a systemd of its own, in a virtual machine: control groups, rights, the credential; as root
	cargo build --workspace
	tests/booted/run $(TARGET)/booted $(TARGET)/debug/sgeventd

wires: ## records anew what plugins in five languages and the daemon say to each other, into protocol/v1/wires
	SGEVENTD_RECORD=1 cargo test --test it -- --nocapture --exact wires_are_as_published::wires_of_real_plugins_are_as_published

FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= lines peer handshake manifest
fuzz: ## made-up bytes for the line reader, the peer and the handshake, FUZZ_SECONDS each; needs nightly and cargo-fuzz
	@tests/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

bench: ## how fast it is, against bare loops; a table, and bench/latest.json in the target folder
	cargo bench --bench limits -- $(ROWS)

lint: $(VENV)/.installed ## formatting, clippy, licences, ruff, mypy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	tests/cargo-deny check bans licenses sources
	rustfmt --edition 2024 --check $(NEW)/rust/src/main.rs $(NEW)/rust/tests/plugin.rs
	cd sdk-python && $(abspath $(VENV))/bin/ruff check . && $(abspath $(VENV))/bin/mypy
	$(VENV)/bin/ruff check --config sdk-python/pyproject.toml --select E,F,B,UP,SIM,RUF --ignore E501 examples $(NEW)

fmt: ## formats everything
	cargo fmt --all
	$(VENV)/bin/ruff format sdk-python

audit: ## known advisories; needs the network
	tests/cargo-deny check advisories
