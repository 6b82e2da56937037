#!/usr/bin/env bash
# Serve a Qwen3-Embedding model with SGLang on a machine with one or several GPUs. README.md says why each flag.
#
#   infra/sglang/launch.sh 0.6B|4B|8B [--revision SHA] [--gpus N] [--host H] [--port P] [--print] [-- SGLANG FLAGS]
#
# Without --revision the model's main branch is served: pin it, and put the same in embedding.revision of kb.yaml.
# KB_EMBEDDING_API_KEY, where set, is the key that clients must send; give the pipeline the same.
set -euo pipefail

usage() {
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

size=${1:-}
shift || usage
revision= gpus=1 host=127.0.0.1 port=30000 print=
while (($#)); do
    case $1 in
        --revision) revision=${2:?--revision needs a commit}; shift 2 ;;
        --gpus) gpus=${2:?--gpus needs a number}; shift 2 ;;
        --host) host=${2:?--host needs an address}; shift 2 ;;
        --port) port=${2:?--port needs a number}; shift 2 ;;
        --print) print=yes; shift ;;
        --) shift; break ;;
        *) usage ;;
    esac
done

case $size in
    0.6B) dimensions='32,64,128,256,512,768,1024' ;;
    4B) dimensions='128,256,512,768,1024,1536,2048,2560' ;;
    8B) dimensions='128,256,512,768,1024,1536,2048,2560,3072,4096' ;;
    *) usage ;;
esac

command=(
    sglang serve
    --model-path "Qwen/Qwen3-Embedding-$size"
    --served-model-name "qwen3-embedding-${size,,}"
    --is-embedding
    --dtype bfloat16
    --context-length 8192
    --mem-fraction-static 0.85
    --disable-radix-cache
    --chunked-prefill-size -1
    --max-prefill-tokens 32768
    --enable-tokenizer-batch-encode
    --enable-metrics
    --dp-size "$gpus"
    --host "$host" --port "$port"
    --json-model-override-args "{\"matryoshka_dimensions\": [$dimensions]}"
)
[[ -n $revision ]] && command+=(--revision "$revision")
command+=("$@")

if [[ -n $print ]]; then # one argument a line, without the key
    printf '%s\n' "${command[@]}"
    exit 0
fi
[[ -n ${KB_EMBEDDING_API_KEY:-} ]] && command+=(--api-key "$KB_EMBEDDING_API_KEY")
exec "${command[@]}"
