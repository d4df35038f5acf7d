# The commands a developer types. `make test` is the one that runs everything.
#
#   make build          both commands, static, into bin/
#   make test           installs what the tests need where it may, then runs them all   (RACE=1 adds the race detector)
#   make redis-versions the tests on Redis against Redis 6.2 and 8 and Valkey, which Python wheels bring
#   make storm          the long crash test: 300 runs and 300 kills over each kind of store and fault, half an hour
#   make model          10,000 random runs against the model of their state, as many random plans, and as much damage to Redis
#   make lint           gofmt, vet, staticcheck, go mod tidy
#   make bench          go test -bench over every package; bench/README.md has the side-by-side comparisons
GO ?= go
export CGO_ENABLED ?= 0
ifeq ($(RACE),1)
  # The race detector is written in C.
  export CGO_ENABLED = 1
  override TESTFLAGS += -race
endif

.PHONY: build test needs redis-versions storm model lint bench

build:
	$(GO) build -trimpath -o bin/ ./cmd/producer ./cmd/worker

test: needs
	$(GO) test $(TESTFLAGS) ./...
	cd deploy/validate && CGO_ENABLED=0 $(GO) test ./...
	cd examples && CGO_ENABLED=0 $(GO) test ./...
	@sh internal/needs/install.sh --report

needs:
	@sh internal/needs/install.sh

redis-versions:
	@sh internal/needs/versions.sh

storm: needs
	$(GO) test ./tasks -run TestStorm -v -parallel 8 -timeout 3h -storm.runs 300 -storm.kills 300 -storm.outages 20 -storm.inflight 24

model:
	$(GO) test ./tasks -run 'TestModel$$|TestRandomPlans|TestSpoiledRedis' -v -timeout 3h -rapid.checks 10000

lint:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	$(GO) mod tidy -diff
	cd deploy/validate && $(GO) mod tidy -diff && $(GO) vet ./...
	cd examples && $(GO) mod tidy -diff && $(GO) vet ./... && $(GO) tool -modfile=../tools/go.mod staticcheck ./...

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...
