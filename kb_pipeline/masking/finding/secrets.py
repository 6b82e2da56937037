"""What opens something: keys of services, private keys, what is called a password. A function over a folded text."""

from __future__ import annotations

import re

from kb_pipeline.masking.finding.cues import any_of, around

Span = tuple[int, int]

# The shapes that their services publish, so that keys are found in code: AWS, Alibaba Cloud, Tencent Cloud, GitHub,
# GitLab, Hugging Face, npm, OpenAI and others with sk-, Stripe, Slack, Google, JSON Web Tokens.
_PREFIXED = re.compile(
    r"(?:(?:AKIA|ASIA)[0-9A-Z]{16}|LTAI[0-9A-Za-z]{12,26}|AKID[0-9A-Za-z]{13,40}"
    r"|gh[opsu]_[0-9A-Za-z]{36,}|ghr_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{22,}|glpat-[0-9A-Za-z_-]{20,}"
    r"|hf_[0-9A-Za-z]{30,}|npm_[0-9A-Za-z]{36}|sk-(?:[a-z]+-)*[0-9A-Za-z_-]{20,}|[rs]k_(?:live|test)_[0-9A-Za-z]{16,}"
    r"|xox[abeprs]-[0-9A-Za-z-]{10,}|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,}"
    r"|eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]*)"
)
_has_prefix = any_of(
    "AKIA|ASIA|LTAI|AKID|ghp_|gho_|ghs_|ghu_|ghr_|github_pat_|glpat-|hf_|npm_|sk-|k_live_|k_test_|xox|AIza|ya29.|eyJ"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----BEGIN)[\s\S]){0,20000}?"
    r"(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
_CALLED = re.compile(
    r"(?:[Pp]ass(?:word|wd|phrase)|PASSWORD|\bpwd|[Ss]ecret(?:[_ -]?[Kk]ey)?|SECRET(?:_KEY)?|[Aa]pi[_ -]?[Kk]ey"
    r"|API[_ -]?KEY|[Aa]ccess[_ -]?(?:[Kk]ey|[Tt]oken)|[Aa]uth[_ -]?[Tt]oken|TOKEN|[Tt]oken"
    "|密码|密碼|口令|密钥|密鑰|令牌)"
    r"[\"'`]?[ \t]{0,3}(?:[:：=]|是|为|is)[ \t]{0,3}[\"'`]?([^\s\"'`<>,，;；。（）()]{6,100})"
)
_called = around(
    _CALLED, "ass|PASS|pwd|ecret|SECRET|_KEY|ey|KEY|oken|TOKEN|密码|密碼|口令|密钥|密鑰|令牌", before=10, after=130
)


def may_hold_secrets(text: str) -> bool:
    """Whether a secret could stand in a text without a digit."""
    return "PRIVATE KEY" in text or _has_prefix(text)


def find_secrets(text: str) -> list[Span]:
    """Keys of services by their prefixes, private keys in PEM, and what is called a password or token and looks made
    up."""
    spans = [match.span() for match in _PREFIXED.finditer(text)] if _has_prefix(text) else []
    if "PRIVATE KEY" in text:
        spans += [match.span() for match in _PRIVATE_KEY.finditer(text)]
    return spans + [match.span(1) for match in _called(text) if _looks_made_up(match.group(1))]


def _looks_made_up(value: str) -> bool:
    """A letter and a digit, and no path, address, variable or placeholder."""
    if value[0] in "$%{[/.\\*" or "://" in value or "..." in value:
        return False
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
