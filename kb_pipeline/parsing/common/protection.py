"""Office files that are protected by a password, opened with one of the source's."""

from __future__ import annotations

import io

from kb_pipeline.core.errors import EncryptedDocument
from kb_pipeline.parsing.options import in_force

_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
LOCKED_REMEDY = "Save it without a password, or set KB_PASSWORDS_<SOURCE>; see docs/formats.md."


def unlocked(data: bytes) -> bytes:
    """`data` decrypted if it is a protected Office file, else as it is. Raises EncryptedDocument."""
    if not data.startswith(_OLE_MAGIC):
        return data
    import msoffcrypto  # type: ignore[import-untyped]
    from msoffcrypto.exceptions import (  # type: ignore[import-untyped]
        DecryptionError,
        FileFormatError,
        InvalidKeyError,
        ParseError,
    )

    try:
        file = msoffcrypto.OfficeFile(io.BytesIO(data))
        if not file.is_encrypted():
            return data
    except (FileFormatError, ParseError, OSError, ValueError, IndexError, KeyError):
        return data  # its own parser says what is wrong
    for password in in_force().passwords:
        opened = io.BytesIO()
        try:
            file.load_key(password=password)
            file.decrypt(opened)
        except (DecryptionError, InvalidKeyError, ParseError, ValueError):
            continue
        return opened.getvalue()
    raise EncryptedDocument("The Office file is protected by a password.", LOCKED_REMEDY)
