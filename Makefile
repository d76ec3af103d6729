# Shortcuts; the build itself is CMake's (CMakePresets.json). Every target installs and builds what it needs.

# About 2 GiB a job: a translation unit that includes torch needs that much.
JOBS ?= $(shell awk -v cores=$$(nproc) '/^MemAvailable/ {n = int($$2 / 2097152); print n < 1 ? 1 : n < cores ? n : cores}' /proc/meminfo)
CTEST_ARGS ?=
SANITIZE ?= on
BENCH_ARGS ?=

BUILD := build/release
COMMAND := $(BUILD)/headstart
COMPILE := cmake --build --preset release -j $(JOBS)

.PHONY: help setup configure build demo test sanitize bench docs format format-check tidy clean

help:
	@echo "make setup         install what is missing (Debian 12; root or sudo only where something is)"
	@echo "make build         compile the command: $(COMMAND)"
	@echo "make demo          sample from the shipped network with and without teleportation: out/demo/report.html"
	@echo "make test          build everything, check the format, run every test, the fast ones under sanitizers first"
	@echo "                   (CTEST_ARGS='-L fast' for a part, SANITIZE=off without sanitizers)"
	@echo "make bench         run the benchmarks (BENCH_ARGS=--benchmark_filter=REGEX for a part)"
	@echo "make docs          check the documentation: its snippets run, its links resolve"
	@echo "make format        apply .clang-format; format-check only says what would change"
	@echo "make tidy          run clang-tidy over library and command (clang-tidy must be installed; about 15 minutes)"
	@echo "make clean         remove build/ and out/"

setup:
	@scripts/setup.sh

configure: setup
	@cmake --preset release >/dev/null

build: configure
	$(COMPILE) --target headstart_cli

demo: build
	$(COMMAND) demo --out_dir out/demo

test: configure
	$(COMPILE)
	scripts/format.sh --check
	@[ "$(SANITIZE)" = off ] || $(MAKE) sanitize
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) $(CTEST_ARGS)

# The fast tests with the address and undefined-behaviour sanitizers. libtorch is not instrumented, and keeps what it never frees.
sanitize: setup
	@cmake --preset asan >/dev/null
	cmake --build --preset asan -j $(JOBS) --target fast_tests
	@ASAN_OPTIONS=detect_leaks=0 ctest --test-dir build/asan --output-on-failure -j $(JOBS) -L fast

bench: configure
	$(COMPILE)
	@set -e; found=no; \
	for bench in $$(find $(BUILD)/bench -maxdepth 1 -type f -executable -name '*_bench' | sort); do \
	  found=yes; echo "== $${bench##*/}"; $$bench --benchmark_counters_tabular=true $(BENCH_ARGS); \
	done; \
	[ $$found = yes ] || { echo "bench: no benchmark in $(BUILD)/bench" >&2; exit 1; }

docs: build
	@ctest --test-dir $(BUILD) --output-on-failure -L docs

format:
	scripts/format.sh

format-check:
	scripts/format.sh --check

tidy: setup
	@cmake --preset tidy >/dev/null
	scripts/tidy.py build/tidy --jobs $(JOBS)

clean:
	rm -rf build out
