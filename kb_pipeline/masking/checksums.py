"""Check digits and what else makes a number the number of something."""

from __future__ import annotations

import datetime as dt

# GB 11643-1999: weights are 2**(17 - i) mod 11; the remainder picks the check character.
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
# First two digits of the region (GB/T 2260), with residence permits of Hong Kong, Macao, Taiwan and foreigners (8, 9).
_PROVINCES = frozenset(
    str(code)
    for tens, last in ((10, 5), (20, 3), (30, 7), (40, 6), (50, 4), (60, 5), (70, 1), (80, 3), (90, 1))
    for code in range(tens + (0 if tens == 50 else 1), tens + last + 1)
)
_OLDEST_YEAR = 1850


def resident_id(number: str) -> bool:
    """Whether 18 characters are a Chinese resident identity number: region, date of birth, check character."""
    if len(number) != 18 or number[:2] not in _PROVINCES or not number[:17].isdigit():
        return False
    return _date(number[6:14]) and _check_character(number)


def _check_character(number: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return _CHECK[total % 11] == number[17].upper()


def _date(digits: str) -> bool:
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    if not _OLDEST_YEAR <= year <= 2199:
        return False
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1: the check digit of payment cards. Digits that are all the same are no card's."""
    digits = [int(digit) for digit in number]
    total = sum(digits[-1::-2]) + sum(_DOUBLED[digit] for digit in digits[-2::-2])
    return total % 10 == 0 and len(set(digits)) > 1


# Shorter numbers collide with times, serial numbers and ISBNs, so only the issuers that use them count:
# Visa (13), Diners Club (14), American Express and JCB (15).
_SHORT_ISSUERS = {13: ("4",), 14: ("30", "36", "38", "39"), 15: ("34", "37", "1800", "2131")}


def bank_card(number: str) -> bool:
    """Whether 13 to 19 digits are the number of a payment card: by the Luhn check, under 16 digits by issuer too."""
    if not 13 <= len(number) <= 19:
        return False
    issuers = _SHORT_ISSUERS.get(len(number))
    return (issuers is None or number.startswith(issuers)) and luhn(number)
