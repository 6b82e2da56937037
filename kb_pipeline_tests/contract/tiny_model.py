"""Write a tiny random Qwen3 embedding model, about 1 MB, that SGLang and sentence-transformers both load.

    python -m kb_pipeline_tests.contract.tiny_model FOLDER

Built as Qwen3-Embedding is: a causal language model whose last token is the vector, and a tokenizer that appends the
end token by itself. Random weights embed badly and repeatably, which is all that comparing servers needs.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END = "<|endoftext|>"
DIMENSION = 64
CONTEXT = 512
TEXT = Path(__file__).with_name("text.txt")


def write(folder: Path, seed: int = 0) -> None:
    """Write tokenizer, weights and the three sentence-transformers files into `folder`."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _tokenizer(TEXT.read_text(encoding="utf-8").splitlines())
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=DIMENSION,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            eos_token_id=2,
            bos_token_id=0,
            pad_token_id=0,
            dtype="float32",
        )
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.normal_(0, 0.1)
    model.save_pretrained(folder)
    _write_modules(folder)


def _tokenizer(lines: list[str]) -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=[END, "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A {END} $B {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token=END, model_max_length=CONTEXT, padding_side="left"
    )


def _write_modules(folder: Path) -> None:
    """What tells sentence-transformers to take the last token and to normalise. SGLang does so by itself."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    pooling = {"word_embedding_dimension": DIMENSION, "pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
