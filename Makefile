# pgbaton. `make help` lists what can be made.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
GO ?= go
LINT := $(GO) tool -modfile=tools/go.mod golangci-lint
PREFIX ?= /usr/local
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.build=$(VERSION)

.DEFAULT_GOAL := build
.PHONY: help build image run test check lint fmt golden race sim storm bench-scheduler fuzz install dist check-dist bench-failover bench-rest corpus demo bench-freeze bench-sync chaos chaos-mixed chaos-scheduler clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: ## build bin/pgbaton, one static binary
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/pgbaton ./cmd/pgbaton

run: build ## install what is missing, then run a replicated PostgreSQL cluster on this machine
	@scripts/install-peers.sh postgresql haproxy
	@bin/pgbaton up

test: build ## everything a change must pass, on real PostgreSQL, etcd and HAProxy
	@scripts/install-peers.sh tests
	@PEERS=$${PEERS:-required} $(GO) test -timeout 20m $$($(GO) list ./... | grep -vE '/internal/(chaos|marathon/driver/docker)$$')
	@# Whole clusters, whose times count, have the machine for themselves.
	@PEERS=$${PEERS:-required} $(GO) test -timeout 45m -p 1 ./internal/marathon/driver/docker ./internal/chaos

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
	@$(GO) test ./internal/sim -run TestScenarios -rewrite
	@$(GO) test ./internal/ctl -run TestWhatPeopleSee -rewrite

sim: ## hunt for a schedule that breaks a rule: FOR=1m; or replay one: SEED=7 (MUTANT=guard-off), FILE=internal/sim/testdata/…
	@$(GO) run ./internal/sim/simrun -for $${FOR:-1m} -seed $${SEED:-0} -file "$${FILE:-}" -mutant "$${MUTANT:-}" -keep internal/sim/testdata

storm: ## run random histories of the scheduler, people and machines: SEEDS=2000 FROM=1; or tell one and make it small: SEED=7 (MUTANT=ack-first)
	@$(GO) test ./internal/marathon/storm -run 'TestStorm$$' -count=1 -v -timeout 2h -storm.seeds $${SEEDS:-2000} -storm.from $${FROM:-1} -storm.seed $${SEED:-0} -storm.mutant "$${MUTANT:-}"

bench-scheduler: ## place 100 to 10 000 tasks on simulated hosts and print time, tick, listing and memory (a tenth of the apps are databases), held to their budgets
	@$(GO) test ./internal/marathon/storm -tags schedulerbench -run 'TestSchedulerBench$$' -count=1 -v -timeout 20m

fuzz: ## fuzz every parser for ten seconds: FUZZ="internal/guc internal/dcs" for those alone
	@scripts/fuzz.sh 10s $(FUZZ)

install: build ## install the program, its other names patroni and patronictl, manual, completions and systemd unit: DESTDIR= PREFIX=/usr/local
	@rm -rf bin/texts && VERSION=$(VERSION) scripts/texts.sh bin/texts
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) scripts/install.sh bin/pgbaton bin/texts

image: build ## build the container image, tagged pgbaton:latest and patroni:latest: TAG=latest BASE=debian:bookworm-slim (or debootstrap, where no registry is)
	@scripts/image.sh $${TAG:-latest}

dist: ## build packages and archives for amd64 and arm64 into dist/, the same bytes for the same commit
	@scripts/dist.sh dist

check-dist: ## build them twice, compare, install and remove them below a folder
	@scripts/check-dist.sh

bench-failover: build ## measure outages and costs in turns with Patroni where installed: RUNS=5 SUBJECTS="pgbaton patroni" FORMAT=table
	@scripts/install-peers.sh postgresql
	@$(GO) run ./internal/bench -runs $${RUNS:-5} -subjects "$${SUBJECTS:-pgbaton patroni}" -o $${FORMAT:-table}

bench-rest: build ## answers a second and their times with 64 connections, in turns with Patroni where installed: RUNS=3
	@scripts/install-peers.sh postgresql
	@$(GO) run ./internal/bench -runs $${RUNS:-3} -only rest -subjects "$${SUBJECTS:-pgbaton patroni}" -o $${FORMAT:-table}

corpus: build ## record anew what a real Patroni answers to requests; read the difference before committing it
	@scripts/install-peers.sh postgresql patroni4
	@$(GO) run ./internal/api/corpus

demo: build ## a tour on this terminal: failures, switchover and scaling, with the outages measured
	@scripts/install-peers.sh postgresql haproxy
	@$(GO) run ./internal/demo

bench-freeze: build ## freeze the leader's agent 20 times, for 5 to 60 s, and count two writers and lost writes
	@scripts/install-peers.sh postgresql
	@PEERS=required $(GO) test ./internal/chaos -tags freezes -run 'TestFreezes$$' -count=1 -v -timeout 60m

bench-sync: build ## what commits that wait for a quorum cost with 16 clients, with agents and without, in turns: about 4 minutes
	@scripts/install-peers.sh postgresql
	@PEERS=required $(GO) test ./internal/chaos -tags syncbench -run 'TestSyncPace$$' -count=1 -v -timeout 30m

chaos: build ## move the lead in all ways while clients write, and lose any two of five hosts: CHANGES=50 (about 15 minutes) SEED=7
	@scripts/install-peers.sh postgresql
	@PEERS=required $(GO) test ./internal/chaos -tags pairs -run 'TestSynchronousPairs$$' -count=1 -v -timeout 60m -chaos.seed $${SEED:-0}
	@PEERS=required $(GO) test ./internal/chaos -run 'TestSynchronous$$' -count=1 -v -timeout 120m -chaos.changes $${CHANGES:-50} -chaos.seed $${SEED:-0}

chaos-mixed: build ## move the lead between members of Patroni and of pgbaton in all ways while clients write: CHANGES=100 (about 20 minutes) SEED=7
	@scripts/install-peers.sh postgresql patroni patroni4
	@PEERS=required $(GO) test ./internal/chaos -run 'TestMixed$$' -count=1 -v -timeout 120m -chaos.changes $${CHANGES:-100} -chaos.seed $${SEED:-0}

chaos-scheduler: build ## scale, restart, change, drain and lose hosts of a cluster in quorum mode, with a scheduler that lives and one that is killed, while a client writes: ROUNDS=3 SEED=7
	@scripts/install-peers.sh postgresql haproxy
	@PEERS=required $(GO) test ./internal/chaos -run 'TestSchedulerOnPostgres$$' -count=1 -v -timeout 120m -chaos.rounds $${ROUNDS:-3} -chaos.seed $${SEED:-0}

clean: ## remove what was built
	@rm -rf bin dist
