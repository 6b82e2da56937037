"""Charts and diagrams of Office files as text: a chart is the table of its data, a diagram (SmartArt) its items."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree  # type: ignore[import-untyped]

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
# Charts of points have x values where others have categories.
_CATEGORIES, _VALUES = (f"{_C}cat", f"{_C}xVal"), (f"{_C}val", f"{_C}yVal")


def chart_title(part: bytes) -> str:
    """What is written above a chart; empty where the application makes the title up."""
    title = _root(part).find(f".//{_C}title")
    return "" if title is None else "".join(run.text or "" for run in title.iter(f"{_A}t"))


def chart_rows(part: bytes) -> list[list[str]]:
    """The data of a chart, as it was last drawn: a row a category, a column a series; none where there is no data."""
    series, categories = [], {}
    for one in _root(part).iter(f"{_C}ser"):
        name = "".join(value.text or "" for value in one.iterfind(f"{_C}tx//{_C}v"))
        series.append((name, _points(one, _VALUES)))
        categories.update(_points(one, _CATEGORIES))
    places = sorted({place for _, values in series for place in values} | categories.keys())
    if not places:
        return []
    head = ["", *(name for name, _ in series)]
    return [head, *([categories.get(n, ""), *(values.get(n, "") for _, values in series)] for n in places)]


def _points(series: etree._Element, names: tuple[str, ...]) -> dict[int, str]:
    found: dict[int, str] = {}
    for point in (point for name in names for point in series.iterfind(f"{name}//{_C}pt")):
        found[int(point.get("idx", 0))] = _as_shown(point.findtext(f"{_C}v") or "")
    return found


def _as_shown(value: str) -> str:
    """A number without the digits that a double adds to it; any other text as it is."""
    try:
        return f"{float(value):.15g}" if "." in value else value
    except ValueError:
        return value


def diagram_texts(part: bytes) -> Iterator[str]:
    """The paragraphs of a diagram's items, in the order of its data."""
    for paragraph in (p for item in _root(part).iter(f"{_DGM}t") for p in item.iter(f"{_A}p")):
        text = "".join(run.text or "" for run in paragraph.iter(f"{_A}t")).strip()
        if text:
            yield text


def _root(part: bytes) -> etree._Element:
    return etree.fromstring(part, etree.XMLParser(resolve_entities=False, no_network=True))
