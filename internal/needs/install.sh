#!/bin/sh
# Installs the programs that the tests run for real, from the system's packages where that is allowed; else names them.
#
#   install.sh            installs what is missing
#   install.sh --report   names what is missing still; with CI=true that is an error
#
# Lines below: program, alternatives to it, Debian package, what cannot run without it.
set -u
needs='
redis-server||redis-server|tests against a real Redis (workers in processes of their own, crashes, restarts)
chromium|chromium-browser google-chrome|chromium|tests that open the report and the monitor in a browser
'
missing() {
  echo "$needs" | while IFS='|' read -r program others package reason; do
    [ -n "$program" ] || continue
    for p in $program $others; do command -v "$p" >/dev/null 2>&1 && continue 2; done
    echo "$package|$reason"
  done
}

# Python modules, each in the folder that needs.Python looks into: module, what cannot run without it.
modules='
onnxruntime|tests that score exported models with ONNX Runtime
'
python=${XDG_CACHE_HOME:-$HOME/.cache}/hashline-needs/python
missing_modules() {
  echo "$modules" | while IFS='|' read -r module reason; do
    [ -n "$module" ] || continue
    for p in "$python/bin/python" python3; do "$p" -c "import $module" >/dev/null 2>&1 && continue 2; done
    echo "$module|$reason"
  done
}

# The S3 server is a Go program with a list of modules of its own. The go command keeps it in its cache.
server=tools/versitygw/go.mod
build_server() {
  ( cd "$(dirname "$0")/../.." && CGO_ENABLED=0 GOFLAGS= GOOS= GOARCH= "${GO:-go}" tool -modfile=$server -n versitygw ) >/dev/null
}

report() {
  left=$(missing; missing_modules)
  build_server 2>/dev/null || left="$left
versitygw (built from $server)|tests against a real S3 server"
  [ -n "$left" ] || return 0
  echo "Not installed, so these could not run:"
  echo "$left" | while IFS='|' read -r package reason; do [ -z "$package" ] || echo "  $package: $reason"; done
  [ "${CI:-}" != true ] || { echo "CI=true: a missing program is an error." >&2; return 1; }
}

if [ "${1:-}" = --report ]; then
  report
  exit
fi
build_server || echo "The S3 server for the tests could not be built." >&2
packages=$(missing | cut -d'|' -f1 | tr '\n' ' ')
wanted=$(missing_modules | cut -d'|' -f1 | tr '\n' ' ')
[ -n "$packages$wanted" ] || exit 0
if [ -n "$wanted" ] && ! python3 -c 'import ensurepip' >/dev/null 2>&1; then packages="${packages}python3 python3-venv "; fi
sudo=
if [ "$(id -u)" != 0 ]; then
  if sudo -n true 2>/dev/null; then sudo="sudo -n"; else sudo=no; fi
fi
if [ -n "$packages" ] && [ "$sudo" != no ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing for the tests: $packages"
  log=$(mktemp)
  # shellcheck disable=SC2086
  { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends $packages; } >"$log" 2>&1 </dev/null ||
    tail -n 5 "$log" >&2
  rm -f "$log"
fi
if [ -n "$wanted" ]; then
  echo "Installing for the tests into $python: $wanted"
  log=$(mktemp)
  # shellcheck disable=SC2086
  { python3 -m venv "$python" && "$python/bin/pip" install -q $wanted; } >"$log" 2>&1 </dev/null || tail -n 5 "$log" >&2
  rm -f "$log"
fi
report
