"""Sentences with personal data of nobody, made from a seed, and sentences that only look as if they held some.

Check digits are worked out here anew, by other formulas than the detectors': a test with the detectors' own arithmetic
would prove nothing. Numbers are synthetic: reserved ranges where there are any, example domains, made-up names.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Sentence:
    """A text and what stands in it: (entity, start, end)."""

    text: str
    spans: tuple[tuple[str, int, int], ...]


def sentences(seed: int, each: int) -> Iterator[Sentence]:
    """`each` sentences for every entity, in turn beside Chinese characters, after a label, in a list and in English."""
    rng = random.Random(seed)  # noqa: S311 - made anew from its seed, no secret
    for entity, (make, frames) in MAKERS.items():
        for number in range(each):
            value, frame = make(rng), frames[number % len(frames)]
            before, _, after = frame.partition("{}")
            yield Sentence(before + value + after, ((entity, len(before), len(before) + len(value)),))


def negatives(seed: int, each: int) -> Iterator[Sentence]:
    """Sentences with numbers and words that are nobody's."""
    rng = random.Random(seed)  # noqa: S311 - made anew from its seed, no secret
    for make in NEGATIVES:
        for _ in range(each):
            yield Sentence(make(rng), ())


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _hexadecimal(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789abcdef") for _ in range(count))


def resident_id(rng: random.Random) -> str:
    region = rng.choice(("110101", "310104", "440305", "510107", "330106", "420111", "610113", "230103"))
    body = f"{region}{rng.randint(1950, 2010)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{rng.randint(1, 999):03}"
    remainder = 0
    for digit in body:  # ISO 7064 MOD 11-2, digit by digit
        remainder = (remainder + int(digit)) * 2 % 11
    check = (12 - remainder) % 11
    return body + ("X" if check == 10 else str(check))


def old_resident_id(rng: random.Random) -> str:
    return f"310104{rng.randint(50, 85)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{rng.randint(1, 999):03}"


def card(rng: random.Random) -> str:
    body = rng.choice(("622202", "621700", "411111", "555555", "622848")) + _digits(rng, rng.choice((9, 12)))
    doubled = [int(d) * 2 if n % 2 == 0 else int(d) for n, d in enumerate(reversed(body))]
    number = body + str(-sum(d // 10 + d % 10 for d in doubled) % 10)
    return number if rng.random() < 0.6 else " ".join(number[at : at + 4] for at in range(0, len(number), 4))


_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def credit_code(rng: random.Random) -> str:
    body = "91" + rng.choice(("110108", "310115", "440300")) + "MA" + "".join(rng.choice(_CREDIT) for _ in range(7))
    total = 0
    weight = 1
    for character in body:
        total += _CREDIT.index(character) * weight
        weight = weight * 3 % 31
    return body + _CREDIT[(31 - total % 31) % 31]


def iban(rng: random.Random) -> str:
    country, bank = rng.choice((("DE", _digits(rng, 18)), ("GB", "WEST" + _digits(rng, 14)), ("FR", _digits(rng, 23))))
    remainder = 0
    for character in bank + country + "00":
        value = str(ord(character) - 55) if character.isalpha() else character
        for digit in value:
            remainder = (remainder * 10 + int(digit)) % 97
    whole = f"{country}{98 - remainder:02}{bank}"
    return whole if rng.random() < 0.5 else " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))


def mobile(rng: random.Random) -> str:
    number = rng.choice(("138", "159", "186", "199", "170")) + _digits(rng, 8)
    groups = (number[:3], number[3:7], number[7:])
    return rng.choice((number, f"+86 {number}", "-".join(groups), " ".join(groups)))


def landline(rng: random.Random) -> str:
    return rng.choice(("010-6", "021-5", "0755-8", "(0571)8")) + _digits(rng, 7)


def email(rng: random.Random) -> str:
    person, domain = ("zhang.wei", "li_na88", "support+cn", "w.chen"), ("example.com", "mail.example.org")
    return f"{rng.choice(person)}{rng.randint(100, 99_999)}@{rng.choice(domain)}"


def ipv4(rng: random.Random) -> str:
    return rng.choice(("192.0.2.", "198.51.100.", "203.0.113.")) + str(rng.randint(1, 254))


def mac(rng: random.Random) -> str:
    pairs = [f"{rng.randint(0, 255):02X}" for _ in range(6)]
    return rng.choice((":", "-")).join(["02", *pairs[1:]])


def ssn(rng: random.Random) -> str:
    return f"{rng.choice(('219', '457', '078'))}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"


def passport(rng: random.Random) -> str:
    if rng.random() < 0.7:
        return rng.choice("EG") + _digits(rng, 8)
    return "E" + rng.choice("ABCDH") + _digits(rng, 7)


def permit(rng: random.Random) -> str:
    return rng.choice(("H", "M")) + _digits(rng, rng.choice((8, 10))) if rng.random() < 0.6 else "C" + _digits(rng, 8)


def plate(rng: random.Random) -> str:
    head = rng.choice("京沪粤苏浙川鲁") + rng.choice("ABCDEF")
    tail = rng.choice(("12345", "8Q6T2", "A03F9", "D12345", "F06789"))
    return head + rng.choice(("", "·")) + tail


def secret(rng: random.Random) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    body = "".join(rng.choice(letters) for _ in range(36))
    return rng.choice(("AKIA" + body[:16], "ghp_" + body, "sk-" + body[:30], "xoxb-" + body[:24]))


def birth(rng: random.Random) -> str:
    year, month, day = rng.randint(1950, 2010), rng.randint(1, 12), rng.randint(1, 28)
    numbers = (f"{year}-{month:02}-{day:02}", f"{year}/{month}/{day}", f"{year}.{month:02}.{day:02}")
    return rng.choice((f"{year}年{month}月{day}日", *numbers))


def amount(rng: random.Random) -> str:
    signed = (f"¥{rng.randint(1, 9)},{_digits(rng, 3)}.50", f"${rng.randint(10, 999)}", f"{rng.randint(100, 9999)}元")
    words = (f"{rng.randint(2, 99)}.5亿元", f"USD {rng.randint(1, 9)}.5 million", "人民币壹佰万元整", "三十万元")
    return rng.choice((*signed, *words, f"RMB {rng.randint(100, 999)},000"))


def _frames(*labels: str) -> tuple[str, ...]:
    chinese, english = labels
    in_chinese = (
        f"{chinese}：{{}}，请核对。",
        f"登记的{chinese}是{{}}。",
        f"{chinese}{{}}已录入系统",
        f"（{chinese}:{{}}）",
    )
    return (*in_chinese, f"The {english} is {{}} on file.")


_BESIDE = ("请拨打{}联系我们。", "已向{}发送通知", "资料{}属于本人。")

MAKERS: dict[str, tuple[Callable[[random.Random], str], tuple[str, ...]]] = {
    "CN_RESIDENT_ID": (resident_id, (*_frames("身份证号", "ID number"), "证件{}有效")),
    "CN_CREDIT_CODE": (credit_code, (*_frames("统一社会信用代码", "credit code"), "代码{}可查")),
    "BANK_CARD": (card, (*_frames("银行卡号", "card number"), "尾款汇入{}账户")),
    "IBAN_CODE": (iban, (*_frames("国际账号", "IBAN"), "汇至{}。")),
    "PHONE_NUMBER": (mobile, (*_frames("手机", "phone number"), *_BESIDE)),
    "EMAIL_ADDRESS": (email, (*_frames("邮箱", "address"), *_BESIDE)),
    "IP_ADDRESS": (ipv4, (*_frames("服务器地址", "server"), "访问{}端口")),
    "MAC_ADDRESS": (mac, (*_frames("物理地址", "MAC address"), "网卡{}已停用")),
    "US_SSN": (ssn, (*_frames("社会安全号", "SSN"),)),
    "PASSPORT": (passport, (*_frames("护照号", "passport"), "持{}号护照入境")),
    "TRAVEL_PERMIT": (permit, ("港澳居民来往内地通行证号：{}。", "往来港澳通行证{}有效", "通行证号码为{}，")),
    "LICENSE_PLATE": (plate, ("车牌号{}的车辆", "车辆{}已登记。", "停放{}，")),
    "SECRET": (secret, ("密钥为{}，勿外传。", "export KEY={}", "token: {}")),
    "DATE_OF_BIRTH": (birth, ("出生日期：{}。", "生于{}，", "DOB: {}", "出生年月日{}", "{}出生，")),
    "MONEY": (amount, ("合同金额{}，分期支付。", "预算为{}。", "total of {} due")),
}

NEGATIVES: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: f"订单号20{rng.randint(20, 26)}{_digits(rng, 12)}已发货",
    lambda rng: f"升级到版本{rng.randint(1, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 99)}后重启",
    lambda rng: f"ISBN 978-7-{_digits(rng, 4)}-{_digits(rng, 4)}-{rng.randint(0, 9)}",
    lambda rng: f"commit {_hexadecimal(rng, 40)}",
    lambda rng: f"第{rng.randint(1, 99)}条 第{rng.randint(1, 9)}款规定，有效期{rng.randint(1, 36)}个月。",
    lambda rng: f"物料编码 {rng.choice('ABKT')}{_digits(rng, 6)}-{_digits(rng, 3)} 库存{rng.randint(1, 999)}件",
    lambda rng: f"UUID {_hexadecimal(rng, 8)}-1b2c-4d5e-8f90-{_hexadecimal(rng, 12)}",
    lambda rng: f"于{rng.randint(2015, 2026)}年{rng.randint(1, 12)}月5日签订，共{rng.randint(2, 80)}页",
    lambda rng: f"端口{rng.randint(1024, 65535)}，超时{rng.randint(1, 120)}秒，占用{rng.randint(1, 99)}%",
    lambda rng: f"文号：京发改〔20{rng.randint(10, 26)}〕{rng.randint(1, 999)}号",
)
