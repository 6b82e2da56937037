"""Text that chunking and masking find hard, as a document may hold it anywhere. All personal data in it is made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from kb_pipeline_tests.fuzzing.octets import Mutation, bounded, in_another_charset
from kb_pipeline_tests.masking.synthetic import CARD, EMAIL, IP, MOBILE, resident_id

LONG = 100_000
_KNOWN = (
    MOBILE,
    CARD,
    EMAIL,
    IP,
    resident_id(),
    "2001:db8::1",
    "¥1,234.56",
    "人民币壹佰万元整",
    "GB33BUKB20201555555555",
)
_BESIDE = (
    "手机",
    "号",
    "，",
    "：",
    "（",
    "字",
    "x",
    "-",
    " ",
    "\n",
    "\t",
    "\u200b",
    "\u3000",
    "０",
    ".",
    "@",
    "+86",
    "<",
    "/",
)
_CUES = (
    "姓名：",
    "联系人",
    "地址：",
    "出生日期：",
    "Dear ",
    "Signed by ",
    "护照号",
    "密码：",
    "api_key = ",
    "车牌",
    "法定代表人",
)
_HEADINGS = ("第一章 总则", "第十二条", "一、", "（三）", "1.1.1.1", "Appendix A", "# ", "Chapter 99")
_MARKS = (
    "\u202e",
    "\u2066",
    "\u200d",
    "\u0301",
    "\u20dd",
    "\ufeff",
    "\ufffe",
    "\x00",
    "\x1b",
    "\x85",
    "\u2028",
    "\ud800",
    "😀",
)


def _mixed(chosen: Random) -> str:
    pieces = (*_KNOWN, *_BESIDE, *_CUES, *_HEADINGS, *_MARKS)
    return "".join(chosen.choice(pieces) for _ in range(chosen.choice((3, 20, 500))))


def _with_no_space(chosen: Random) -> str:
    return (chosen.choice(("没有空格", "nospace", "0", "1a", "٣", "한", "=", "A1-", "_", "%41")) * LONG)[:LONG]


def _with_marks(chosen: Random) -> str:
    return chosen.choice(("a", "字", "1", " ")) + chosen.choice(_MARKS) * chosen.choice((1, 40, LONG // 10))


def _of_one_kind(chosen: Random) -> str:
    return (chosen.choice((*_KNOWN, *_CUES, *_HEADINGS)) + chosen.choice(_BESIDE)) * chosen.choice((2, 100, 3000))


def _nearly(chosen: Random) -> str:
    """What patterns begin to match, again and again, and never do."""
    near = (
        "a@",
        "1.",
        "1,",
        "1-",
        "::",
        "a.b@c.",
        "12:",
        "-----BEGIN PRIVATE KEY-----\n",
        "¥",
        "壹",
        "eyJ",
        "<PERSON_",
        "No. ",
    )
    return chosen.choice(near) * chosen.choice((5, 500, 20_000))


def _of_space(chosen: Random) -> str:
    return chosen.choice((" ", "\n", "\t", "\u3000", "\xa0", "\r", "\n \n", "\x0c", "\u2003")) * chosen.choice(
        (10, LONG)
    )


def _digits(chosen: Random) -> str:
    digits = chosen.choice(("0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "一二三四五六七八九十", "①②③"))
    return "".join(chosen.choice(digits) for _ in range(chosen.choice((11, 16, 18, 19, 64, 5000))))


_MAKERS: tuple[Callable[[Random], str], ...] = (
    *(_mixed, _mixed, _with_no_space, _with_marks, _of_one_kind, _nearly, _of_space, _digits),
)


def hard_text(chosen: Random) -> str:
    """Some of it."""
    return chosen.choice(_MAKERS)(chosen)


def written(text: str) -> bytes:
    """As UTF-8, lone surrogates too."""
    return text.encode("utf-8", "surrogatepass")


def with_hard_text(data: bytes, chosen: Random) -> bytes:
    """Hard text in the place of a blank, or anywhere."""
    at = chosen.randrange(len(data) + 1)
    blank = data.find(b" ", at)
    at = blank if blank >= 0 and chosen.random() < 0.7 else at
    return bounded(data[:at] + written(hard_text(chosen)) + data[at:])


def only_hard_text(data: bytes, chosen: Random) -> bytes:
    """Nothing but hard text, with lines of the document between."""
    lines = data.splitlines(keepends=True)[:200] or [b""]
    return bounded(b"".join(written(hard_text(chosen)) + chosen.choice(lines) for _ in range(chosen.randint(1, 6))))


TEXT: Mapping[str, Mutation] = {made.__name__: made for made in (with_hard_text, only_hard_text, in_another_charset)}
