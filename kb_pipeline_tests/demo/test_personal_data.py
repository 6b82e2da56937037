"""The planted personal data: of every kind, valid by its own rules, and nobody's."""

from __future__ import annotations

import ipaddress
import re

import pytest

from kb_pipeline.demo.writing import contents

TEXT = "\n".join(contents().values())
RESIDENT_ID = re.compile(r"(?<!\d)\d{17}[\dX](?!\d)")
CARD = re.compile(r"(?<!\d)(?:\d{19}|\d{16}|\d{4} \d{4} \d{4} \d{4})(?!\d)")
MOBILE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]\d)")
MAIL = re.compile(r"[\w.+-]+@([\w.-]+\w)", re.ASCII)
DOCUMENTATION = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
# None of these is anyone's known number: runs and repetitions that documentation uses.
MOBILES = {"13412345678", "13512345678", "13612345678", "13712345678", "13812345678", "13800138000"}
MOBILES |= {"13900139000", "13987654321"}


def _found(pattern: re.Pattern[str], at_least: int) -> set[str]:
    found = {match[0] for match in pattern.finditer(TEXT)}
    assert len(found) >= at_least
    return found


def test_resident_ids_have_valid_check_digits() -> None:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    for number in _found(RESIDENT_ID, 5):
        total = sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))
        assert number[-1] == "10X98765432"[total % 11], number


def test_bank_cards_satisfy_luhn() -> None:
    for number in _found(CARD, 5):
        digits = [int(digit) for digit in number if digit != " "][::-1]
        total = sum(digits[0::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
        assert total % 10 == 0, number


def test_mobile_numbers_are_the_placeholders() -> None:
    assert _found(MOBILE, 5) <= MOBILES


def test_addresses_are_from_the_documentation_ranges() -> None:
    for address in _found(ADDRESS, 10):
        assert any(ipaddress.ip_address(address) in network for network in DOCUMENTATION), address


def test_mail_domains_are_reserved() -> None:
    domains = {match[1] for match in MAIL.finditer(TEXT)}
    assert domains == {"example.com", "example.cn", "example.net", "example.org"}


@pytest.mark.parametrize("source", ["hr", "contracts", "wiki"])
@pytest.mark.parametrize("pattern", [CARD, MOBILE, ADDRESS, MAIL], ids=["card", "mobile", "address", "mail"])
def test_every_source_holds_every_kind(source: str, pattern: re.Pattern[str]) -> None:
    assert any(pattern.search(text) for path, text in contents().items() if path.startswith(f"{source}/"))
