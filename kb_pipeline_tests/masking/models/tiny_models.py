"""Named-entity models of a few kilobytes, taught here in seconds that Wei Zhang and 章小渔 are people."""

from __future__ import annotations

import random
from pathlib import Path

NAMES = {"zh": "章小渔", "en": "Wei Zhang"}
# A name stands anywhere in a sentence, and in not every one; no word of these announces one.
SENTENCES = {
    "zh": (
        "本周由章小渔主持会议。", "会后章小渔整理了材料。", "章小渔已经知道这件事。", "材料交给了章小渔。",
        "材料整理之后开会。", "会议由办公室主持。", "周五开会。", "这件事办公室已经知道。",
    ),
    "en": (
        "On Monday Wei Zhang opened the meeting.", "Wei Zhang wrote the report.", "The report went to Wei Zhang.",
        "Later Wei Zhang went home.", "The report was written on Monday.", "The meeting was opened later.",
        "On Friday the office went home.", "The office wrote to the meeting.",
    ),
}  # fmt: skip


def _texts(language: str, count: int) -> list[str]:
    """Sentences in some order, so that a name may stand at any place."""
    chance = random.Random(1)
    return ["".join(chance.sample(SENTENCES[language], 3)) for _ in range(count)]


def teach_spacy(folder: Path, language: str, label: str = "PERSON") -> Path:
    """A blank pipeline with a recognizer of names, fitted to the sentences."""
    import spacy
    from spacy.training import Example

    spacy.util.fix_random_seed(1)
    pipeline, name = spacy.blank(language), NAMES[language]
    examples = []
    for text in _texts(language, 16):
        starts = [place for place in range(len(text)) if text.startswith(name, place)]
        entities = [(start, start + len(name), label) for start in starts]
        examples.append(Example.from_dict(pipeline.make_doc(text), {"entities": entities}))
    pipeline.add_pipe("ner").add_label(label)
    optimizer = pipeline.initialize(lambda: examples)
    for _ in range(25):
        pipeline.update(examples, sgd=optimizer, drop=0.0)
    folder.mkdir(parents=True)
    pipeline.to_disk(folder)
    return folder


def teach_bert(folder: Path, language: str, context: int = 64) -> Path:
    """A BERT of one layer, a token a character or word; the parts of the name are B-PER, I-PER."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    pieces = pre_tokenizers.Split(Regex("[\u4e00-\u9fff]|[A-Za-z]+|[^\\s]"), "isolated")
    split = pre_tokenizers.Sequence([pieces, pre_tokenizers.WhitespaceSplit()])
    words = sorted({word for text in SENTENCES[language] for word, _ in split.pre_tokenize_str(text)})
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = split
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    names = ["O", "B-PER", "I-PER"]
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = BertForTokenClassification(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=context,
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
        )
    )
    inputs = tokenizer(_texts(language, 24), return_tensors="pt", padding=True)
    first, *rest = (vocabulary[part] for part, _ in split.pre_tokenize_str(NAMES[language]))
    labels = (inputs["input_ids"] == first).long() + 2 * torch.isin(inputs["input_ids"], torch.tensor(rest)).long()
    inputs["input_ids"][(torch.rand(labels.shape) < 0.1) & (labels == 0)] = vocabulary["[UNK]"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
