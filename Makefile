# The commands of this repository. `make` alone prints them. Bare Debian 12 is enough: each installs what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo up test pages lint format bench mutation fuzz faults load nightly build clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## packages, build, services, one signer, one signed PDF, verified by other programs; then stops (PROFILE=direct-wrapped: keys in wrapped custody; PROFILE=delegated-wrapped: with an identity provider; PROFILE=one-time: a key and a certificate for one signature)
	@tools/demo

up: ## the services in the foreground, with the commands to try; Ctrl-C stops them
	@tools/demo --up

test: ## unit tests, feature tests against the real processes, lint
	@tools/ci/test

pages: ## the signer's pages: types, unit tests, the bundle in build/web and its digest
	@tools/dev/install identity && tools/ci/web

lint: ## rooms, house rules, format, clang-tidy of changed files, release binaries
	@tools/dev/install build demo test && tools/ci/build release && INTAGLIO_RESULTS=build/results tools/ci/lint

format: ## clang-format over our files
	@tools/dev/install test && tools/lint/format --fix

bench: ## signatures a second, by stage and end to end, against the raw token in the same run
	@tools/ci/bench

mutation: ## switches every security check off once: a test must fail each time
	@tools/ci/mutation

fuzz: ## every fuzz target for a minute (FUZZ_SECONDS=…)
	@tools/ci/fuzz-all $(or $(FUZZ_SECONDS),60)

faults: ## a token that misbehaves below the SAM in every way of the table: nothing signed twice, no outcome lost
	@tools/ci/faults

load: ## two SSA and two SAM nodes on PostgreSQL under load, a node of each restarted: nothing lost, nothing signed twice (INTAGLIO_LOAD_SECONDS=300)
	@tools/ci/load

nightly: ## the long form of everything, and demo and test on a fresh machine
	@tools/ci/nightly

build: ## what is shipped, in build/release/bin
	@tools/dev/install build && tools/ci/build release

clean: ## removes what was made here: build trees, the run folder, node_modules
	@tools/dev/clean
