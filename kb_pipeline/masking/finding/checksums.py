"""Check digits and what else makes a number the number of something."""

from __future__ import annotations

import datetime as dt
import re

# GB 11643-1999: weights are 2**(17 - i) mod 11; the remainder picks the check character.
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
# First two digits of the region (GB/T 2260), with residence permits of Hong Kong, Macao, Taiwan and foreigners (8, 9).
PROVINCES = frozenset(
    str(code)
    for tens, last in ((10, 5), (20, 3), (30, 7), (40, 6), (50, 4), (60, 5), (70, 1), (80, 3), (90, 1))
    for code in range(tens + (0 if tens == 50 else 1), tens + last + 1)
)
_OLDEST_YEAR = 1850


def resident_id(number: str) -> bool:
    """Whether 18 characters are a Chinese resident identity number: region, date of birth, check character."""
    if len(number) != 18 or number[:2] not in PROVINCES or not number[:17].isdigit():
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


# Longer ones: nobody issues cards that begin otherwise, and order numbers often begin with a year.
_LONG_ISSUERS = re.compile("2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|[3-69]|8[18]")


def bank_card(number: str) -> bool:
    """Whether 13 to 19 digits are the number of a payment card: by the Luhn check, under 16 digits by issuer too."""
    if not 13 <= len(number) <= 19:
        return False
    issuers = _SHORT_ISSUERS.get(len(number))
    issued = number.startswith(issuers) if issuers else _LONG_ISSUERS.match(number) is not None
    return issued and luhn(number)


# GB 32100-2015: I, O, S, V and Z are left out; weights are 3**i mod 31.
_CREDIT_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def unified_social_credit_code(code: str) -> bool:
    """Whether 18 characters are the code of a Chinese organisation: its check character."""
    if len(code) != 18 or any(character not in _CREDIT_CHARACTERS for character in code):
        return False
    total = sum(_CREDIT_CHARACTERS.index(character) * pow(3, n, 31) for n, character in enumerate(code[:17]))
    return _CREDIT_CHARACTERS[-total % 31] == code[17]


# ISO 13616: the length that each country fixed.
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip


def iban(number: str) -> bool:
    """Whether a number without blanks is an IBAN: its country's length, and 1 modulo 97."""
    number = number.upper()
    if _IBAN_LENGTHS.get(number[:2]) != len(number):
        return False
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97 == 1
