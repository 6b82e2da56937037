"""E-mail: the subject as title, who wrote to whom, the body, and each attachment under its name."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage

from kb_pipeline.contracts import Element
from kb_pipeline.errors import EncryptedDocument
from kb_pipeline.parsing.decoding import decode
from kb_pipeline.parsing.embedded import read_inside, under_its_name
from kb_pipeline.parsing.text import text_elements
from kb_pipeline.parsing.web import html_elements

_HEAD_BYTES = 1024
_ADDRESSES = ("From", "To", "Cc", "Date")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message."""

    name: str
    data: bytes


def letter_elements(
    subject: str, headers: Mapping[str, str], body: Sequence[Element], attachments: Iterable[Attachment]
) -> list[Element]:
    """Subject, who wrote to whom and when in one paragraph, the body, then each attachment under its name."""
    elements = [Element(subject, "title", level=1)] if subject else []
    lines = [f"{name}: {value}" for name, value in headers.items() if value]
    if lines:
        elements.append(Element("; ".join(lines), "paragraph"))
    return [*elements, *body, *(element for attached in attachments for element in attachment_elements(attached))]


def attachment_elements(attached: Attachment) -> list[Element]:
    """The attachment's name as a title, and what it holds; one that cannot be read says so and costs itself alone."""
    return under_its_name(attached.name, read_inside(attached.data, attached.name)) if attached.name else []


def parse_mail(data: bytes) -> list[Element]:
    """A message as it travels. Raises EncryptedDocument."""
    if b"\x00" in data[:_HEAD_BYTES]:  # UTF-16, as some tools export; the mail parser reads ASCII bytes
        data = decode(data).encode()
    message = email.message_from_bytes(data, policy=email.policy.default)
    if message.get_content_type() in _ENCRYPTED:
        raise EncryptedDocument("The message is encrypted.", "Save it decrypted from the mail program.")
    headers = {name: _header(message, name) for name in _ADDRESSES}
    return letter_elements(_header(message, "Subject"), headers, _body(message), _attachments(message))


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


def body_elements(text: str, subtype: str) -> list[Element]:
    """Elements with text of a body in HTML or plain text."""
    elements = html_elements(text) if subtype == "html" else text_elements(text)
    return [element for element in elements if element.text.strip()]


def _read(part: EmailMessage) -> list[Element]:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return []
    return body_elements(decode(payload, part.get_content_charset()), part.get_content_subtype())


def _attachments(message: EmailMessage) -> Iterator[Attachment]:
    """Files by name; pictures that the HTML shows come without one, or inline."""
    for part in message.iter_attachments():
        if part.get_content_disposition() == "inline" and part.get_content_maintype() == "image":
            continue
        payload = part.get_payload(decode=True)
        if not isinstance(payload, bytes):
            payload = b"".join(inner.as_bytes() for inner in part.iter_parts())  # a message that was forwarded
        yield Attachment(part.get_filename() or "", payload)
