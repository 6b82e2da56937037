"""Mail and IP addresses."""

import pytest

from kb_pipeline.masking import mask_text
from kb_pipeline_tests.masking.synthetic import POLICY


@pytest.mark.parametrize(
    "written",
    [
        "zhang.wei@example.com",
        "zhang.wei@example.com.cn",
        "zhang_wei+hr@mail.example.org",
        "ZHANG@EXAMPLE.COM",
        "13800138000@example.com",
        "zhang.wei＠example．com",
        "ｚｈａｎｇ@example.com",
        "zhang\u200b.wei@example.com",
        "admin@192.0.2.10",
    ],
)
@pytest.mark.parametrize("around", ["邮箱{}请联系", "{}", "<{}>", "mailto:{}", "({}).", "张三{}；"])
def test_mail_addresses_are_found(written: str, around: str) -> None:
    assert mask_text(around.format(written), POLICY) == (around.format("<EMAIL_ADDRESS>"), {"EMAIL_ADDRESS": 1})


@pytest.mark.parametrize("text", ["请用@example.com的邮箱", "@zhangwei", "a @ b", "user@localhost", "git@", "@"])
def test_an_at_sign_alone_is_no_mail_address(text: str) -> None:
    assert mask_text(text, POLICY) == (text, {})


@pytest.mark.parametrize(
    "written",
    [
        "192.0.2.10",
        "198.51.100.0/24",
        "１９２.０.２.１０",
        "2001:db8::1",
        "2001:DB8:0:0:8:800:200C:417A",
        "::ffff:192.0.2.128",
        "2001:db8::/32",
        "2001:db8::1%eth0",
        "::1",
    ],
)
@pytest.mark.parametrize("around", ["服务器{}宕机", "{}", "IP:{}", "[{}]:80", "at {}.", "ip{}", "注¹{}²"])
def test_ip_addresses_are_found(written: str, around: str) -> None:
    assert mask_text(around.format(written), POLICY) == (around.format("<IP_ADDRESS>"), {"IP_ADDRESS": 1})


def test_an_address_after_the_slash_of_a_number_is_found() -> None:
    assert mask_text("99192.0.2.10/192.0.2.7", POLICY)[0] == "99192.0.2.10/<IP_ADDRESS>"


@pytest.mark.parametrize(
    "text",
    ["256.1.1.1", "1.2.3", "1.2.3.4.5", "1.02.3.4", "12:30:45", "std::vector", "a::b", "::"],
)
def test_what_is_no_address_stays(text: str) -> None:
    assert mask_text(text, POLICY) == (text, {})
