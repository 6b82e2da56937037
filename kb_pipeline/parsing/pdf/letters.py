"""What pdfium knows of the letters on a page of PDF: size, place, font, colour."""

from __future__ import annotations

import ctypes
import math
import re
from functools import lru_cache

import pypdfium2.raw as pdfium

BOLD_WEIGHT = 600
FIXED_PITCH = 1  # PDF 32000-1, table 123
# Of 255: what lets more of the page show through, or is as light, is there to be overlooked; what is lighter still
# stands on a dark ground.
FAINT_OPACITY, FAINT_SHADES = 180, range(160, 236)
# So many letters of a page are asked what they are.
SAMPLE, UNMAPPED_SHARE = 64, 0.3
_BOLD_NAME = re.compile(rb"bold|black|heavy", re.IGNORECASE)
_MONO_NAME = re.compile(rb"mono|courier|consolas|menlo|typewriter|cmtt", re.IGNORECASE)
_FontName = ctypes.c_char * 64
_UNMAPPED = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08]")


class Letters:
    """The letters of one page, by their place in its text. Open as long as the text page it is made from.

    What pdfium fills in is allotted once a page: it is asked some ten times a line.
    """

    def __init__(self, content: pdfium.FPDF_TEXTPAGE, text: str) -> None:
        self._content = content
        # pdfium counts letters that it leaves out of the text too; its numbers rise with the places, so the last tells.
        self._none_left_out = pdfium.FPDFText_GetCharIndexFromTextIndex(content, len(text) - 1) == len(text) - 1
        self._matrix, self._loose = pdfium.FS_MATRIX(), pdfium.FS_RECTF()
        self._edges = [ctypes.c_double() for _ in range(4)]
        self._shades = [ctypes.c_uint() for _ in range(4)]
        self._font, self._flags = _FontName(), ctypes.c_int()
        self._into_matrix, self._into_loose = ctypes.byref(self._matrix), ctypes.byref(self._loose)
        self._into_edges = [ctypes.byref(edge) for edge in self._edges]
        self._into_shades = [ctypes.byref(shade) for shade in self._shades]
        self._into_flags = ctypes.byref(self._flags)

    def index(self, place: int) -> int:
        """What pdfium calls the letter at `place`: the number that all else here asks for."""
        return place if self._none_left_out else pdfium.FPDFText_GetCharIndexFromTextIndex(self._content, place)

    def size_and_angle(self, index: int) -> tuple[float, float]:
        """Height of the letter's font in points, as it is drawn, and the degrees that it is turned by."""
        if not pdfium.FPDFText_GetMatrix(self._content, index, self._into_matrix):
            return 0.0, 0.0
        matrix = self._matrix
        size = abs(pdfium.FPDFText_GetFontSize(self._content, index)) * math.hypot(matrix.c, matrix.d)
        return _finite(size), _finite(math.degrees(math.atan2(matrix.b, matrix.a)))

    def room(self, index: int) -> tuple[float, float, float, float]:
        """Left, right, lower and upper edge of the room that the letter takes in its line."""
        if not pdfium.FPDFText_GetLooseCharBox(self._content, index, self._into_loose):
            return 0.0, 0.0, 0.0, 0.0
        loose = self._loose
        return _finite(loose.left), _finite(loose.right), _finite(loose.bottom), _finite(loose.top)

    def sides(self, index: int) -> tuple[float, float]:
        """Left and right edge of the letter itself."""
        if not pdfium.FPDFText_GetCharBox(self._content, index, *self._into_edges):
            return 0.0, 0.0
        return self._edges[0].value, self._edges[1].value

    def bold_and_mono(self, index: int) -> tuple[bool, bool]:
        """Whether the letter is bold, and set in a font of one width: by the font's flags, weight or name."""
        if not pdfium.FPDFText_GetFontInfo(self._content, index, self._font, len(self._font), self._into_flags):
            return False, False
        bold, mono = _said_by_name(self._font.value)
        bold = bold or pdfium.FPDFText_GetFontWeight(self._content, index) >= BOLD_WEIGHT
        return bold, mono or bool(self._flags.value & FIXED_PITCH)

    def faint(self, index: int) -> bool:
        """Whether the letter is set in a light colour, or lets the page show through."""
        if not pdfium.FPDFText_GetFillColor(self._content, index, *self._into_shades):
            return False
        red, green, blue, opacity = self._shades
        return opacity.value < FAINT_OPACITY or min(red.value, green.value, blue.value) in FAINT_SHADES

    def mapped(self) -> bool:
        """Whether the fonts of the page say which characters its letters are, by a sample of them."""
        count = pdfium.FPDFText_CountChars(self._content)
        unmapped = visible = 0
        for index in range(0, count, max(1, count // SAMPLE)):
            code = pdfium.FPDFText_GetUnicode(self._content, index)
            visible += code > ord(" ")
            failed = pdfium.FPDFText_HasUnicodeMapError(self._content, index) == 1
            unmapped += failed or _UNMAPPED.match(chr(code)) is not None
        return unmapped <= UNMAPPED_SHARE * max(visible, unmapped)


def _finite(length: float) -> float:
    """`length`, or 0 where the file's numbers lead out of those that can be compared."""
    return length if math.isfinite(length) else 0.0


@lru_cache(maxsize=256)
def _said_by_name(font: bytes) -> tuple[bool, bool]:
    """Whether a font's name says that it is bold, and of one width."""
    return _BOLD_NAME.search(font) is not None, _MONO_NAME.search(font) is not None
