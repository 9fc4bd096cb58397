# pgbaton. `make help` lists what can be made.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
GO ?= go
LINT := $(GO) tool -modfile=tools/go.mod golangci-lint
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.build=$(VERSION)

.DEFAULT_GOAL := build
.PHONY: help build run test check lint fmt golden race fuzz demo clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

build: ## build bin/pgbaton, one static binary
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/pgbaton ./cmd/pgbaton

run: build ## install what is missing, then run a replicated PostgreSQL cluster on this machine
	@scripts/install-peers.sh postgresql haproxy
	@bin/pgbaton up

test: build ## everything a change must pass, on real PostgreSQL, etcd and HAProxy
	@scripts/install-peers.sh postgresql haproxy etcdctl
	@PEERS=$${PEERS:-required} $(GO) test -timeout 20m ./...

race: ## the fast packages under the race detector
	@$(GO) test -race -short $$($(GO) list ./... | grep -vE '/internal/(chaos|postgres|haproxy|demo)')

check: ## what a commit must pass before its tests: format, lint, tidy modules, modern Go
	@$(LINT) fmt --diff ./...
	@$(GO) vet ./...
	@$(LINT) run ./...
	@$(GO) mod tidy -diff
	@$(GO) fix -diff ./...

lint: ## run the linters only
	@$(LINT) run ./...

fmt: ## format everything
	@$(LINT) fmt ./...

golden: ## rewrite the golden files; read the difference before committing it
	@$(GO) test ./internal/ha ./internal/route ./internal/marathon/place ./internal/marathon/deploy -rewrite

fuzz: ## fuzz every parser for ten seconds
	@scripts/fuzz.sh 10s

demo: build ## a tour on this terminal: failures, switchover and scaling, with the outages measured
	@scripts/install-peers.sh postgresql haproxy
	@$(GO) run ./internal/demo

clean: ## remove what was built
	@rm -rf bin dist
