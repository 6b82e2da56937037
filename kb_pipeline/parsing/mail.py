"""E-mail: the subject as title, who wrote to whom, the body. Attachments are documents of their own and left out."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage

from kb_pipeline.contracts import Element
from kb_pipeline.errors import EncryptedDocument
from kb_pipeline.parsing.decoding import decode
from kb_pipeline.parsing.text import text_elements
from kb_pipeline.parsing.web import html_elements

_HEAD_BYTES = 1024
_ADDRESSES = ("From", "To", "Cc", "Date")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


def parse_mail(data: bytes) -> list[Element]:
    """Subject, addresses with the date in one paragraph, and the HTML body, or the plain one where there is none."""
    if b"\x00" in data[:_HEAD_BYTES]:  # UTF-16, as some tools export; the mail parser reads ASCII bytes
        data = decode(data).encode()
    message = email.message_from_bytes(data, policy=email.policy.default)
    if message.get_content_type() in _ENCRYPTED:
        raise EncryptedDocument("The message is encrypted.", "Save it decrypted from the mail program.")
    lines = [f"{name}: {value}" for name in _ADDRESSES if (value := _header(message, name))]
    subject = _header(message, "Subject")
    elements = [Element(subject, "title", level=1)] if subject else []
    if lines:
        elements.append(Element("; ".join(lines), "paragraph"))
    return elements + _body(message)


def _header(message: EmailMessage, name: str) -> str:
    """One header decoded. What breaks the standard is taken as it stands: raw bytes in a charset of their own, or a
    grammar on which the parser raises anything."""
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    if _SURROGATE.search(raw):
        return decode(raw.encode("utf-8", "surrogateescape"))
    try:
        return str(message.get(name, "")).strip()
    except Exception:  # noqa: BLE001
        return raw


def _body(message: EmailMessage) -> list[Element]:
    """The first reading of the message that has text: its HTML, its plain part, then any text part at all."""
    for kind in ("html", "plain"):
        part = message.get_body(preferencelist=(kind,))
        elements = _read(part) if isinstance(part, EmailMessage) else []
        if elements:
            return elements
    parts = (part for part in message.walk() if part.get_content_maintype() == "text" and not part.is_attachment())
    return [element for part in parts for element in _read(part)]


def _read(part: EmailMessage) -> list[Element]:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return []
    text = decode(payload, part.get_content_charset())
    elements = html_elements(text) if part.get_content_subtype() == "html" else text_elements(text)
    return [element for element in elements if element.text.strip()]
