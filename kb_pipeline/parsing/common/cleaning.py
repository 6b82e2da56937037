"""Text as every parser hands it on: clean characters, folded space, cells and rows kept apart, a language."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

# Control characters but tab and newline, lone surrogates, byte order marks and other invisible format characters.
# The joiners U+200C and U+200D stay: scripts of India and Iran, and emoji, need them.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u200b\u200e\u200f\u2060]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACE = re.compile(r"\s+")
_CJK = (
    "\u2e80-\u303f\u3040-\u30ff\u31f0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
)
_ENDS_CJK = re.compile(f"[{_CJK}]$")
_STARTS_CJK = re.compile(f"^[{_CJK}]")

# Divided at a hyphen of its own: an option, a path, a compound that has others.
_HYPHENATED = re.compile("[-/_0-9]\\S*[\ufffe\u00ad]$")
_DIVIDED_CODE = re.compile("[\ufffe\u00ad]\n?")
_ENDS_AT = re.compile("[A-Za-z0-9]@$")
_ENDS_LATIN = re.compile("[A-Za-z0-9]$")
_STARTS_AT = re.compile("@[A-Za-z0-9]")
# So much of what is joined so far decides how the next line follows it: to look at all of it each time takes hours.
_TAIL = 100

_LANGUAGE_SAMPLE = 20_000
_ENGLISH = re.compile("[A-Za-z]{2,}")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_OTHER_SCRIPT = re.compile("[^\x00-\x7f\u2000-\u206f\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]")
_SCRIPTS = (
    ("ja", re.compile("[\u3041-\u3096\u30a1-\u30fa]")),
    ("ko", re.compile("[\uac00-\ud7a3]+")),
    ("zh", _HAN),
    ("en", _ENGLISH),
    ("und", re.compile("[\u00c0-\u024f]+")),
    ("ru", re.compile("[\u0400-\u04ff]+")),
    ("ar", re.compile("[\u0600-\u06ff]+")),
    ("he", re.compile("[\u0590-\u05ff]+")),
    ("el", re.compile("[\u0370-\u03ff]{2,}")),
    ("th", re.compile("[\u0e00-\u0e7f]+")),
    ("hi", re.compile("[\u0900-\u097f]+")),
)


def clean(text: str) -> str:
    """Without control characters and lone surrogates, line ends as newlines, NFC (NFKC would change what is cited)."""
    if text.isprintable():  # then it holds none of them, nor any white space but blanks
        return text if text.isascii() else unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", _UNWANTED.sub("", _LINE_ENDS.sub("\n", text)))


def fold(text: str) -> str:
    """One line: every run of white space is one space."""
    if text.isprintable() and "  " not in text:
        return clean(text).strip()
    return _SPACE.sub(" ", clean(text)).strip()


def block(text: str) -> str:
    """Code: lines and indentation stay; spaces at line ends and empty lines around it go."""
    return "\n".join(line.rstrip() for line in clean(text).split("\n")).strip("\n")


def table(rows: Iterable[Sequence[str]]) -> str:
    """A tab between cells, a newline between rows; rows without any text are dropped, trailing empty cells too."""
    lines = ("\t".join(fold(cell) for cell in row).rstrip("\t") for row in rows)
    return "\n".join(line for line in lines if line)


def join_lines(lines: Iterable[str]) -> str:
    """Lines of one paragraph as running text: a space where words meet, none between two CJK characters.

    A word divided at a line end (U+FFFE from pdfium, or a soft hyphen) is put together again, and so is a mail address
    divided beside its @: in two pieces nothing would know it for one.
    """
    pieces: list[str] = []
    tail = ""
    for line in (piece.strip() for piece in lines):
        if tail.endswith(("\ufffe", "\u00ad")):
            line = f"-{line}" if _HYPHENATED.search(tail) else line
            pieces[-1], tail = pieces[-1][:-1], tail[:-1]
        elif tail and line and not _runs_on(tail, line):
            line = f" {line}"
        if line:
            pieces.append(line)
            tail = (tail + line)[-_TAIL:]
    return fold("".join(pieces))


def join_code(lines: Iterable[str]) -> str:
    """Lines of code as they stand; one that was divided at a hyphen is one again."""
    return _DIVIDED_CODE.sub("-", "\n".join(lines))


def _runs_on(text: str, line: str) -> bool:
    end = text[-2:]  # searched whole for each of its lines, a long paragraph would take the square of its length
    if _ENDS_AT.search(end) or (_STARTS_AT.match(line) and _ENDS_LATIN.search(end)):
        return True
    return end.endswith("/") or bool(_ENDS_CJK.search(end) and _STARTS_CJK.search(line))


def language(text: str) -> str:
    """ISO 639-1 code by Unicode script, "und" when no script leads: short texts defeat statistical detectors.

    A Han character, a kana, and a run of any other script count one each, which weighs words against words.
    Latin letters mean English unless words with diacritics make up a tenth: other Latin languages are "und".
    """
    sample = text[:_LANGUAGE_SAMPLE]
    if sample.isascii():
        return "en" if _ENGLISH.search(sample) else "und"
    if not _OTHER_SCRIPT.search(sample):  # most Chinese text: nothing else to count
        han, english = len(_HAN.findall(sample)), len(_ENGLISH.findall(sample))
        return "zh" if han and han >= english else "en" if english else "und"
    counts = Counter({code: len(pattern.findall(sample)) for code, pattern in _SCRIPTS})
    han, kana = counts["zh"], counts["ja"]
    if kana and kana * 4 >= han:  # Japanese is written with both
        counts["ja"], counts["zh"] = kana + han, 0
    if counts["und"] * 10 >= counts["en"]:
        counts["en"] = 0
    code, most = counts.most_common(1)[0]
    return code if most else "und"
