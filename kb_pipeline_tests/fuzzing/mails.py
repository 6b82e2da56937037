"""Damage to messages: headers, charsets, encodings, boundaries, messages in messages, attachments of any kind."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from random import Random

from kb_pipeline_tests.fuzzing.octets import Mutation, anywhere, bounded, with_match
from kb_pipeline_tests.fuzzing.words import hard_text, written

_HEADER = re.compile(rb"^[A-Za-z][A-Za-z-]{1,40}:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n", re.MULTILINE)
_CHARSET = re.compile(rb"""charset\s*=\s*"?[^\s;"]+"?""", re.IGNORECASE)
_ENCODING = re.compile(rb"Content-Transfer-Encoding:[^\r\n]*", re.IGNORECASE)
_TYPE = re.compile(rb"Content-Type:\s*[\w.+/-]+", re.IGNORECASE)
_BOUNDARY = re.compile(rb"""boundary\s*=\s*"?[^\s;"]+"?""", re.IGNORECASE)
_CHARSETS = (
    *(
        b"utf-99",
        b"idna",
        b"punycode",
        b"zlib",
        b"rot13",
        b"hex",
        b"unicode_escape",
        b"raw_unicode_escape",
        b"undefined",
    ),
    *(
        b"utf-7",
        b"utf-16",
        b"gb2312",
        b"iso-2022-jp",
        b"hz",
        b"x-unknown",
        b"\xff",
        b"",
        b"mbcs",
        b"base64",
        b"a" * 500,
        b"\0",
    ),
)
_ENCODINGS = (b"base64", b"quoted-printable", b"7bit", b"x-uuencode", b"binary", b"bogus", b"", b"base64; x")
_TYPES = (
    *(
        b"multipart/mixed",
        b"multipart/alternative",
        b"multipart/related",
        b"multipart/digest",
        b"message/rfc822",
        b"text/html",
    ),
    *(
        b"text/plain",
        b"text/calendar",
        b"application/octet-stream",
        b"message/partial",
        b"message/delivery-status",
        b"/",
        b"text",
    ),
    *(b"multipart/signed", b"message/external-body", b"image/png", b"multipart/encrypted"),
)
_HEADERS = (
    *(
        b"From: =?utf-8?b?////?= <a@example.com>, , ;:",
        b"To: undisclosed:;, <<>>, (((",
        b"Date: Thu, 99 Foo 2026 25:61:61 +9999",
    ),
    *(
        b"Subject: =?gb2312?Q?=D6?= =?x?z?y?= =?utf-8?q?" + b"=41" * 3000 + b"?=",
        b"Content-Disposition: attachment; filename*=a'b'%ff",
    ),
    *(
        b"Content-Disposition: attachment; filename*0*=utf-99''%41; filename*99999999999=b",
        b"Cc: " + b"a@example.com, " * 3000,
    ),
    *(
        b"From: " + b"(" * 3000,
        b"Subject:",
        b'To: "' + b"\\" * 2001,
        b"MIME-Version: 1.0 (((",
        b"Content-Type: text/html; =; ;;a==b",
    ),
    *(
        b"Message-ID: <[",
        b"Content-ID: <>",
        b"Subject: \xd6\xd0\xce\xc4",
        b"From: \xff\xfe@[192.0.2.1",
        b"Date: " + b"9" * 5000,
    ),
)


def with_another_charset(data: bytes, chosen: Random) -> bytes:
    """A charset that is none, or not the text's."""
    return with_match(_CHARSET, data, chosen, lambda _: b'charset="%s"' % chosen.choice(_CHARSETS))


def with_another_encoding(data: bytes, chosen: Random) -> bytes:
    """A part that says it is written another way."""
    return with_match(_ENCODING, data, chosen, lambda _: b"Content-Transfer-Encoding: " + chosen.choice(_ENCODINGS))


def with_another_type(data: bytes, chosen: Random) -> bytes:
    """A part that says it is something else."""
    return with_match(_TYPE, data, chosen, lambda _: b"Content-Type: " + chosen.choice(_TYPES))


def with_another_boundary(data: bytes, chosen: Random) -> bytes:
    """Parts that end where nobody says so, or everywhere."""
    other = anywhere(re.compile(rb"\w{1,70}"), data, chosen)
    name = chosen.choice((b"", b"-", b"\n", other.group() if other else b"x"))
    return with_match(_BOUNDARY, data, chosen, lambda _: b'boundary="%s"' % name)


def with_headers(data: bytes, chosen: Random) -> bytes:
    """Headers gone, moved, or such as no standard allows."""
    made = (
        chosen.choice((chosen.choice(_HEADERS), b"Subject: " + written(hard_text(chosen)).replace(b"\n", b" ")))
        + b"\r\n"
    )
    if chosen.random() < 0.3:
        return bounded(made + data)
    return bounded(with_match(_HEADER, data, chosen, lambda _: chosen.choice((b"", made, b"\r\n"))))


def in_other_messages(data: bytes, chosen: Random) -> bytes:
    """The message as an attachment of another, of another ..."""
    for _ in range(chosen.choice((1, 5, 40))):
        head = b"From: a@example.com\r\nSubject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n"
        data = bounded(head + b"Content-Disposition: attachment; filename=a.eml\r\n\r\n" + data)
    return data


def attached(data: bytes, chosen: Random, other: bytes) -> bytes:
    """A message with `other`, a document of any format, under a name that says something else."""
    name = chosen.choice(
        (b"a.docx", b"a.pdf", b"a.html", b"a.eml", b"a.csv", b"a", b"../\xd6\xd0.txt", b"a.zip", b"a.png")
    )
    head = b"From: a@example.com\r\nSubject: files\r\nMIME-Version: 1.0\r\n"
    head += b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    body = b"--b\r\nContent-Type: text/plain\r\n\r\n" + data[:2000] + b"\r\n"
    disposition = (
        b"Content-Disposition: attachment; filename=" + name + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    part = b"--b\r\nContent-Type: application/octet-stream\r\n" + disposition + base64.encodebytes(other) + b"\r\n"
    return bounded(head + body + part + chosen.choice((b"--b--\r\n", b"", b"--b\r\n")))


MAIL: Mapping[str, Mutation] = {
    made.__name__: made
    for made in (
        *(with_another_charset, with_another_encoding, with_another_type, with_another_boundary, with_headers),
        in_other_messages,
    )
}
