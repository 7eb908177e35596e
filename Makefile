# roamgate. Every target is explained by `make help`.
SHELL := /bin/bash
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 60s
COUNT ?= 6
BASE ?= main
SESSIONS ?= 1000000
KILLS ?= 200
SEEDS ?= 1000
ROUNDS ?= 200

.PHONY: build run test allocs e2e interop fuzz month accept bench bench-go bench-compare lint vuln gen check-config setup help

build: ## build bin/roamgate and bin/roamgen (the first target)
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/roamgate ./cmd/roamgen

run: build ## start a hub between RADIUS and Diameter networks on loopback, and watch it
	bin/roamgen demo

# Tests between foreign programs wait most of their time: they begin first, and beside
# two others. lint has vetted all there is; allocs links only what has such a test.
test: lint allocs ## everything a submission must pass: lint, allocs, vuln, all tests with the race detector
	@test/setup.sh || [ -z "$$CI" ]
	@test/vuln.sh --if-reachable
	$(GO) test -vet=off -race -shuffle=on -timeout 20m -p 3 ./test/interop/... ./...

allocs: ## what must not allocate and must inline, without the race detector, which changes both
	$(GO) test -vet=off -run 'Alloc|Inline' $$(grep -rlE --include='*_test.go' '^func (Test|Fuzz|Example)[A-Za-z0-9_]*(Alloc|Inline)' . | xargs -n1 dirname | sort -u)

e2e: ## the whole hub on loopback with scripted peers: the demo must add up
	$(GO) test -race -count=1 -v -run TestDemo ./cmd/roamgen

interop: ## the hub between FreeRADIUS, radsecproxy, freeDiameter, eapol_test, radclient and Redis
	@test/setup.sh
	CI=1 $(GO) test -race -count=1 -v ./test/peer/... ./test/interop/...

fuzz: ## every fuzz target for FUZZTIME (60s); FUZZ=./pkg/... limits it
	@FUZZTIME=$(FUZZTIME) FUZZ=$(FUZZ) test/fuzz.sh

month: ## a month of accounting with known faults must come to the truth (SESSIONS=10000000)
	$(GO) run ./test/month -sessions $(SESSIONS)

accept: ## the long forms of test/conformance/acceptance.md: KILLS=200 SEEDS=1000 ROUNDS=200, about an hour
	SPOOL_KILLS=$(KILLS) SPOOL_SEEDS=$(SEEDS) SPOOL_DAMAGE_STEP=1 $(GO) test -count=1 -v -timeout 60m -run 'TestKill$$|TestPowerCut|TestControl|TestDamage|Disk|Fault' ./accounting/spool
	ROAMGATE_ROUNDS=$(ROUNDS) $(GO) test -count=1 -v -timeout 60m -run 'TestConsumerKilled' ./accounting/queue
	$(GO) test -count=1 -v -timeout 20m -run 'TestTargetSwapped|Redis|Truncated|LostTail|Takeover|TwoConsumersShare' ./accounting/queue
	$(GO) test -count=1 -v -timeout 20m ./accounting/clearing ./accounting/session
	$(GO) test -count=1 -v -timeout 20m -run 'TestRepetitions|TestKilledUnderLoad' ./test/interop

bench: build ## the hub, radsecproxy, FreeRADIUS, freeDiameter and a bare forwarder in turns; writes test/bench/RESULTS.md (CASE=pap,mix: those, no file)
	$(GO) run ./test/bench $(if $(CASE),-case $(CASE))

bench-go: ## the benchmarks of the packages (PKG limits them)
	$(GO) test -run='^$$' -bench=. -benchmem $(or $(PKG),./...)

bench-compare: ## benchstat of this tree against BASE (main); PKG limits the packages
	@BASE=$(BASE) COUNT=$(COUNT) PKG=$(PKG) test/bench-compare.sh

lint: ## gofmt, go vet and staticcheck
	@test/check.sh

vuln: ## govulncheck; GOVULNDB=file:///... uses a local database (see test/vulndb)
	@test/vuln.sh

gen: ## write what is generated: the tables of Diameter's dictionary, the list of metrics and of linked modules
	$(GO) test -count=1 -run TestTables ./pkg/diameter/dict -update
	$(GO) test -count=1 -run TestMetricsDocumented ./cmd/roamgate -update
	$(GO) test -count=1 -run TestLinkedModules ./test/arch -update

check-config: ## check the reference configuration
	$(GO) test -count=1 -run 'TestReference' ./cmd/roamgate ./realm/file

setup: ## install the Debian packages that the tests start
	@test/setup.sh

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 16
