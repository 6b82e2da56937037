#!/usr/bin/env bash
# Run the contract suite (and the asset graph over it) against a real SGLang server on this machine's CPU.
#
#   infra/sglang/test.sh [pytest arguments]
#
# Builds .venv-sglang/ when its requirements have changed, writes a tiny random Qwen3, starts SGLang over it on a free
# loopback port, runs `pytest -m sglang`, and ends the server and all it spawned, whatever happens.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=$root/.venv/bin/python  # not $PYTHON, which make hands on: that is the one that .venv was made with
environment=$root/.venv-sglang
requirements=$here/cpu/requirements.txt
ready_within=${SGLANG_READY_SECONDS:-400}
# Without compiled files every start of SGLang would compile all of it again.
unset PYTHONDONTWRITEBYTECODE

say() { printf 'test-sglang: %s\n' "$*" >&2; }

build_environment() {
    local key built_with=$environment/.built-with
    key=$({ cat "$requirements"; "$python" --version; } | sha256sum | cut -c1-64)
    if [[ -f $built_with && $(<"$built_with") == "$key" ]]; then
        return
    fi
    say "building $environment (about 2.6 GB; once)"
    rm -rf "$environment"
    "$python" -m venv "$environment"
    local pip=("$environment/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check)
    "${pip[@]}" "$(grep '^torch==' "$requirements")"
    "${pip[@]}" --no-deps --requirement "$requirements"
    echo "$key" >"$built_with"
    say "built in $((SECONDS - began)) s"
}

work=$(mktemp -d)
server=
finish() {
    local status=$?
    trap - EXIT INT TERM
    if [[ -n $server ]]; then # its own process group, so this reaches the scheduler and the detokenizer too
        kill -TERM -- "-$server" 2>/dev/null || true
        for _ in {1..20}; do
            kill -0 "$server" 2>/dev/null || break # not the group: a zombie in it would keep us waiting
            sleep 0.1
        done
        kill -KILL -- "-$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_server() {
    local port=$1
    # Chunked prefill must be off for embedding, and then the two memory settings are required. The list of dimensions
    # holds one above the model's 64, so that the suite can ask for it.
    (
        cd "$here/cpu"
        export HF_HUB_OFFLINE=1 PYTHONPATH=$here/cpu
        exec setsid "$environment/bin/python" cpu_launch.py \
            --model-path "$work/model" --served-model-name qwen3-embedding-tiny --is-embedding \
            --device cpu --attention-backend torch_native --dtype float32 --host 127.0.0.1 --port "$port" \
            --disable-radix-cache --chunked-prefill-size -1 --mem-fraction-static 0.3 --max-total-tokens 20000 \
            --enable-tokenizer-batch-encode --sleep-on-idle --enable-metrics \
            --json-model-override-args '{"matryoshka_dimensions": [8, 16, 32, 64, 512]}'
    ) >"$work/server.log" 2>&1 &
    server=$!
}

check_launch_lines() { # while the server starts: the production flags, against this SGLang's own parser
    local size
    for size in 0.6B 4B 8B; do
        "$here/launch.sh" "$size" --gpus 2 --revision main --print >"$work/launch-$size"
    done
    PYTHONPATH=$here/cpu "$environment/bin/python" "$here/cpu/check_launch.py" "$work"/launch-* 2>"$work/launch.log" || {
        tail -n 5 "$work/launch.log" >&2
        say "a flag of infra/sglang/launch.sh is not one that this SGLang knows"
        exit 1
    }
}

wait_until_ready() {
    local url=$1 deadline=$((SECONDS + ready_within))
    until "$python" -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1] + "/health", timeout=5)' "$url" 2>/dev/null; do
        if ! kill -0 "$server" 2>/dev/null || ((SECONDS > deadline)); then
            say "SGLang ended, or was not ready within $ready_within s (SGLANG_READY_SECONDS). The end of its log:"
            tail -n 40 "$work/server.log" >&2
            exit 1
        fi
        sleep 1
    done
}

began=$SECONDS
build_environment
cd "$root"
"$python" -m kb_pipeline_tests.contract.tiny_model "$work/model" 2>"$work/model.log" || {
    cat "$work/model.log" >&2
    exit 1
}
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
started=$SECONDS
start_server "$port"
check_launch_lines
wait_until_ready "$url"
say "SGLang ready at $url after $((SECONDS - started)) s"
timeout --kill-after=30 1200 "$python" -m pytest -m sglang kb_pipeline_tests/contract \
    --sglang-url "$url" --sglang-model "$work/model" "$@" || {
    status=$?
    say "the suite failed (exit code $status). The end of the server's log:"
    tail -n 20 "$work/server.log" >&2
    exit "$status"
}
say "passed in $((SECONDS - began)) s; environment $(du -sh "$environment" | cut -f1)"
