# Go, Node.js with npm, and git are enough; everything else is brought by setup.
# What is done already costs nothing and says nothing.

SHELL := /bin/bash
ARGS ?=
TOOLS := .cache/tools/stamp

.PHONY: help setup setup-tests build run test bench lint
.SILENT:

help: ## what can be made
	grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: ## bring the engine library (once for each user)
	deploy/setup/engine.sh

setup-tests: setup ## bring what only tests need
	deploy/setup/tests.sh

build: ## build bin/belfry
	go build -o bin/belfry .

run: setup build ## the demo: a simulated fleet with faults, live (ARGS="--data DIR ...")
	exec bin/belfry demo $(ARGS)

test: setup-tests lint ## linters and all tests, with the race detector
	deploy/setup/test.sh $(ARGS)

bench: setup build ## the benchmark suites (ARGS="ingest --json"; default: all)
	exec bin/belfry bench $(or $(ARGS),all)

lint: $(TOOLS) ## gofmt, go vet, staticcheck, govulncheck
	deploy/setup/lint.sh

$(TOOLS): deploy/setup/tools/go.mod deploy/setup/tools/go.sum
	mkdir -p $(@D)
	echo "setup: building the linters, once"
	cd deploy/setup/tools && go build -o $(CURDIR)/$(@D)/ tool
	touch $@
