#!/usr/bin/env bash
# Run the tests marked s3 against a real S3 server, OpenStack Swift with its s3api, on this machine.
#
#   infra/swift/test.sh [pytest arguments]
#
# Builds .venv-swift/ when its requirements have changed. The tests start and end the server (support/swift.py).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=$root/.venv/bin/python  # not $PYTHON, which make hands on: that is the one that .venv was made with
environment=$root/.venv-swift
requirements=$here/requirements.txt

say() { printf 'test-swift: %s\n' "$*" >&2; }

build_environment() {
    local key built_with=$environment/.built-with
    key=$({ cat "$requirements"; "$python" --version; } | sha256sum | cut -c1-64)
    if [[ -f $built_with && $(<"$built_with") == "$key" ]]; then
        return
    fi
    say "building $environment (about 100 MB; once)"
    rm -rf "$environment"
    "$python" -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        --requirement "$requirements"
    echo "$key" >"$built_with"
}

began=$SECONDS
build_environment
cd "$root"
KB_TESTS_S3=swift timeout --kill-after=30 1200 "$python" -m pytest -m s3 "$@"
say "passed in $((SECONDS - began)) s"
