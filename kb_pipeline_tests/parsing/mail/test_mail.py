"""E-mail: subject as title, addresses, body; what breaks the standard is still read."""

from email.message import EmailMessage

import pytest

from kb_pipeline.core.errors import EncryptedDocument
from kb_pipeline.core.media_type import EML
from kb_pipeline.parsing import parse


def message() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "甲 <a@example.com>", "b@example.org", "关于放假的通知"
    mail.set_content("plain text\n")
    return mail


def test_subject_addresses_and_the_html_body() -> None:
    mail = message()
    mail.add_alternative("<h2>安排</h2><p>十月一日起放假</p>", subtype="html")
    assert [(e.kind, e.level, e.text) for e in parse(mail.as_bytes(), EML)] == [
        ("title", 1, "关于放假的通知"),
        ("paragraph", None, "From: 甲 <a@example.com>; To: b@example.org"),
        ("title", 2, "安排"),
        ("paragraph", None, "十月一日起放假"),
    ]


def test_the_plain_body_serves_where_the_html_holds_no_text() -> None:
    mail = message()
    mail.add_alternative("<img src='cid:x'>", subtype="html")
    assert parse(mail.as_bytes(), EML)[-1].text == "plain text"


def test_raw_gb18030_headers_and_utf_16_messages_are_read() -> None:
    text = "Subject: 本周例会的时间\nFrom: a@example.com\nContent-Type: text/plain; charset=gb2312\n\n请准时参加。\n"
    for data in (text.encode("gb18030"), text.encode("utf-16")):
        assert [e.text for e in parse(data, EML)] == ["本周例会的时间", "From: a@example.com", "请准时参加。"]


def test_headers_that_break_the_grammar_do_not_lose_the_message() -> None:
    data = b"From: <<a@example.com\nDate: INVALID\nSubject: x\nTo: ,;<\n\nbody\n"
    assert parse(data, EML)[-1].text == "body"


def test_an_encrypted_message_says_so() -> None:
    with pytest.raises(EncryptedDocument):
        parse(b"Subject: x\nContent-Type: multipart/encrypted; boundary=a\n\n--a--\n", EML)


def test_attachments_are_read_below_their_names_and_a_bad_one_costs_itself() -> None:
    mail = message()
    mail.add_attachment("# 细则\n\n正文", filename="细则.md", subtype="markdown")
    mail.add_attachment(b"%PDF-1.7 cut off", maintype="application", subtype="pdf", filename="broken.pdf")
    inner = message()
    inner.add_attachment(b"PK\x05\x06", maintype="application", subtype="zip", filename="all.zip")
    mail.add_attachment(inner, filename="forwarded.eml")
    assert [(e.kind, e.level, e.text) for e in parse(mail.as_bytes(), EML)][2:] == [
        ("paragraph", None, "plain text"),
        ("title", 2, "细则.md"),
        ("title", 3, "细则"),
        ("paragraph", None, "正文"),
        ("title", 2, "broken.pdf"),
        ("paragraph", None, "(CorruptDocument)"),
        ("title", 2, "forwarded.eml"),
        ("title", 3, "关于放假的通知"),
        ("paragraph", None, "From: 甲 <a@example.com>; To: b@example.org"),
        ("paragraph", None, "plain text"),
        ("title", 4, "all.zip"),
        ("paragraph", None, "(CorruptDocument)"),
    ]


def test_a_message_forwarded_without_a_name_is_read_under_its_subject() -> None:
    mail = message()
    inner = message()
    inner.replace_header("Subject", "原来的通知")
    mail.add_attachment(inner)
    assert [(e.kind, e.level, e.text) for e in parse(mail.as_bytes(), EML)][2:] == [
        ("paragraph", None, "plain text"),
        ("title", 2, "原来的通知"),
        ("paragraph", None, "From: 甲 <a@example.com>; To: b@example.org"),
        ("paragraph", None, "plain text"),
    ]


def test_texts_between_attachments_and_attachments_of_signed_messages_are_read() -> None:
    """As some programs write them: the body goes on after a file, and a signature wraps the whole."""
    inner = message()
    inner.add_attachment("attached", filename="a.txt")
    inner.add_attachment("the body goes on", subtype="plain", disposition="inline")
    signed = b"Subject: x\nContent-Type: multipart/signed; boundary=outer\n\n--outer\n" + inner.as_bytes()
    signed += b"\n--outer\nContent-Type: application/pgp-signature; name=signature.asc\n\nnone\n--outer--\n"
    assert [e.text for e in parse(signed, EML)][1:5] == ["plain text", "the body goes on", "a.txt", "attached"]


def test_of_alternatives_only_the_one_shown_is_read_with_its_files() -> None:
    mail = message()
    mail.add_alternative("<p>rich text</p>", subtype="html")
    mail.get_payload()[1].add_related("<p>a frame</p>", subtype="html", cid="<frame>")
    mail.get_payload()[1].add_attachment("attached", filename="a.txt")
    assert [e.text for e in parse(mail.as_bytes(), EML)][2:] == ["rich text", "a frame", "a.txt", "attached"]
