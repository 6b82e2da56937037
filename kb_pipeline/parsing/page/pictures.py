"""Text in the pictures of a document: screenshots, scans that were pasted in. Logos and icons are passed over."""

from __future__ import annotations

from kb_pipeline.core.identity import sha256_hex
from kb_pipeline.parsing.common.cleaning import join_lines
from kb_pipeline.parsing.options import in_force
from kb_pipeline.parsing.page.layout import groups

# Smaller ones are icons and logos.
LEAST_WIDTH, LEAST_HEIGHT = 200, 50
# All pictures of one document together: half a minute of one core.
MOST_PIXELS = 15_000_000


class Pictures:
    """Reads the pictures of one document, each once, until so many pixels have been looked at: the same bytes give the
    same text on every machine, which a limit of time would not. With `icons`, small ones too."""

    def __init__(self, *, icons: bool = False) -> None:
        self._least = (1, 1) if icons else (LEAST_WIDTH, LEAST_HEIGHT)
        self._left = 0 if in_force().strategy == "fast" else MOST_PIXELS
        self._known: dict[str, list[str]] = {}

    def paragraphs(self, data: bytes) -> list[str]:
        """The paragraphs in a picture; none in one that is no picture, or shows none."""
        if not self._left:
            return []
        name = sha256_hex(data)
        if name not in self._known:
            self._known[name] = self._read(data)
        return self._known[name]

    def _read(self, data: bytes) -> list[str]:
        from kb_pipeline.parsing.page.ocr import frames, read_page

        try:
            image = next(frames(data)).image
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - Pillow raises SyntaxError, struct.error, its own, and more
            return []  # a drawing, a format that no browser shows, or broken: that costs the picture alone
        height, width = image.shape[:2]
        if width < self._least[0] or height < self._least[1] or height * width > self._left:
            return []
        self._left -= height * width
        lines = read_page(image, 1)
        return [group[0].text if group[0].table else join_lines(line.text for line in group) for group in groups(lines)]
