"""docx and xlsx are zip archives that carry the time of writing; this takes it out, so that equal content is equal."""

from __future__ import annotations

import io
import re
import zipfile

_WRITTEN = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*(</dcterms:)")
_WHEN = b"2026-01-05T09:00:00Z"


def without_times(data: bytes) -> bytes:
    """The same archive with fixed member times, and fixed times in its document properties."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = _WRITTEN.sub(rb"\g<1>" + _WHEN + rb"\g<3>", content)
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            new.writestr(member, content, zipfile.ZIP_DEFLATED)
    return result.getvalue()
