"""Personal data of nobody: numbers with right check digits in made-up or reserved ranges, made here."""

from kb_pipeline.masking.finding.checksums import luhn
from kb_pipeline.settings import ENTITIES, MaskingPolicy, PseudonymKey

KEY = PseudonymKey("2026a", b"synthetic-secret-of-thirty-two-characters")
POLICY = MaskingPolicy(dict.fromkeys(ENTITIES, "mask"), KEY)
MOBILE = "13800138000"
EMAIL = "zhang.wei@example.com"
CARD = "4111111111111111"
IP = "192.0.2.10"


def policy(**actions: str) -> MaskingPolicy:
    """Everything masked, but for `actions`."""
    return MaskingPolicy({**POLICY.actions, **actions}, KEY)


def resident_id(region: str = "110101", birth: str = "19900307", order: int = 1) -> str:
    """An identity number by GB 11643: its check character makes the weighted sum 1 modulo 11."""
    body = f"{region}{birth}{order:03d}"
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    check = (1 - total) % 11
    return body + ("X" if check == 10 else str(check))


def resident_id_ending_in_x() -> str:
    """The first one whose check character is X."""
    return next(number for order in range(1000) if (number := resident_id(order=order)).endswith("X"))


def card(prefix: str, length: int) -> str:
    """A card number that begins with `prefix` and passes the Luhn check."""
    body = (prefix + "20" * length)[: length - 1]
    return next(body + str(check) for check in range(10) if luhn(body + str(check)))
