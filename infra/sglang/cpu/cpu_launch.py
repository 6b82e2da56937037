"""Start a real SGLang server on a machine without a GPU: for contract and parity tests, never for speed.

The build of torchvision on PyPI is linked against CUDA, so its C++ operators do not load beside a CPU torch; declaring
the two operators that its Python part looks up is enough for the embedding path. This stays a script file with the
declarations at its top: the processes that SGLang spawns import it again.
"""

import os
import sys

os.environ.setdefault("SGLANG_USE_CPU_ENGINE", "1")

import torch

try:
    _operators = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _operators.define(_name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
except RuntimeError:
    pass  # already declared

if __name__ == "__main__":
    from sglang.launch_server import run_server
    from sglang.srt.server_args import prepare_server_args
    from sglang.srt.utils import kill_process_tree

    try:
        run_server(prepare_server_args(sys.argv[1:]))
    finally:
        kill_process_tree(os.getpid(), include_parent=False)
