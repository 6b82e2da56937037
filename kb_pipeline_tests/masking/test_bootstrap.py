"""Masking loads Presidio and no model library, and leaves importable what it hid meanwhile."""

import subprocess
import sys

PROGRAM = """
import sys
from kb_pipeline.masking import mask_text, warm_up
from kb_pipeline.settings import MaskingPolicy

warm_up()
masked, counts = mask_text("mail someone@example.com", MaskingPolicy({"EMAIL_ADDRESS": "mask"}))
assert counts == {"EMAIL_ADDRESS": 1}, counts
assert "presidio_analyzer" in sys.modules
assert "torch" not in sys.modules and "transformers" not in sys.modules
import huggingface_hub

assert huggingface_hub.__version__
"""


def test_masking_needs_no_model_library() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
