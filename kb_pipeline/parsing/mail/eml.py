"""E-mail: the subject as title, who wrote to whom, the body, and each attachment under its name."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import EncryptedDocument
from kb_pipeline.parsing.common.decoding import decode
from kb_pipeline.parsing.embedded import below, read_inside, under_its_name
from kb_pipeline.parsing.text.plain import text_elements
from kb_pipeline.parsing.web.html import html_elements

_HEAD_BYTES = 1024
_ADDRESSES = ("From", "To", "Cc", "Date")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_BODIES, _FORWARDED = ("html", "plain"), "message/rfc822"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message, or, without a name, a message that was forwarded as one."""

    name: str
    data: bytes
    is_message: bool = False


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
    """The attachment's name as a title, and what it holds; one that cannot be read says so and costs itself alone. A
    message without a name has its subject as title."""
    if attached.name:
        return under_its_name(attached.name, read_inside(attached.data, attached.name))
    return below(1, read_inside(attached.data, "message.eml")) if attached.is_message else []


def parse_mail(data: bytes) -> list[Element]:
    """A message as it travels. Raises EncryptedDocument."""
    if b"\x00" in data[:_HEAD_BYTES]:  # UTF-16, as some tools export; the mail parser reads ASCII bytes
        data = decode(data).encode()
    message = email.message_from_bytes(data, policy=email.policy.default)
    if message.get_content_type() in _ENCRYPTED:
        raise EncryptedDocument("The message is encrypted.", "Save it decrypted from the mail program.")
    headers = {name: _header(message, name) for name in _ADDRESSES}
    part, body = _body(message)
    return letter_elements(_header(message, "Subject"), headers, body, _attachments(message, part))


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


def _body(message: EmailMessage) -> tuple[EmailMessage | None, list[Element]]:
    """The first reading of the message that has text (its HTML, its plain part, then any text part at all), with the
    part it is in; then the texts that stand between and after its attachments."""
    for kind in _BODIES:
        part = message.get_body(preferencelist=(kind,))
        if isinstance(part, EmailMessage) and (elements := _read(part)):
            shown = (one for one in _leaves(message, part) if one is not part and _is_shown(one))
            further = [one for one in shown if one.get_content_subtype() in _BODIES]
            return part, [*elements, *(element for one in further for element in _read(one))]
    return None, [element for part in _leaves(message) if _is_shown(part) for element in _read(part)]


def _leaves(part: EmailMessage, body: EmailMessage | None = None) -> Iterator[EmailMessage]:
    """The parts that hold something, in order; of alternatives, the one that holds `body`."""
    if part.get_content_maintype() != "multipart":
        yield part
        return
    inner = [one for one in part.iter_parts() if isinstance(one, EmailMessage)]
    if part.get_content_subtype() == "alternative":
        inner = [one for one in inner if any(below is body for below in one.walk())] or inner
    for one in inner:
        yield from _leaves(one, body)


def _is_shown(part: EmailMessage) -> bool:
    return part.get_content_maintype() == "text" and not (part.is_attachment() or part.get_filename())


def body_elements(text: str, subtype: str) -> list[Element]:
    """Elements with text of a body in HTML or plain text."""
    elements = html_elements(text) if subtype == "html" else text_elements(text)
    return [element for element in elements if element.text.strip()]


def _read(part: EmailMessage) -> list[Element]:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return []
    return body_elements(decode(payload, part.get_content_charset()), part.get_content_subtype())


def _attachments(message: EmailMessage, body: EmailMessage | None) -> Iterator[Attachment]:
    """Files by name, and messages; pictures that the HTML shows come without a name, or inline."""
    for part in _leaves(message, body):
        if part is message or _is_shown(part):
            continue
        if part.get_content_disposition() == "inline" and part.get_content_maintype() == "image":
            continue
        payload = part.get_payload(decode=True)
        if not isinstance(payload, bytes):
            payload = b"".join(inner.as_bytes() for inner in part.iter_parts())  # a message that was forwarded
        yield Attachment(part.get_filename() or "", payload, part.get_content_type() == _FORWARDED)
