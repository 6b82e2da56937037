"""Tables by their ruling: lines drawn on a page become grids of cells. Pure geometry, in points from the lower left."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

# Rules that are drawn twice, or as the edges of neighbouring cells, lie this close; crossings may miss by as much.
SNAP = 3.0
# Shorter marks are letters' strokes, dashes and icons.
LEAST_LENGTH = 8.0
MOST_RULES = 4000
# A rule between two cells runs along this share of their common side at least.
DIVIDING_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight level or upright line: from (x0, y0), its lower left end, to (x1, y1)."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def x(self) -> float:
        """Where an upright rule stands."""
        return (self.x0 + self.x1) / 2

    @property
    def y(self) -> float:
        """Where a level rule lies."""
        return (self.y0 + self.y1) / 2

    @property
    def level(self) -> bool:
        """Whether it runs from left to right."""
        return self.x1 - self.x0 >= self.y1 - self.y0


@dataclass(frozen=True, slots=True)
class Grid:
    """A ruled table: `xs` from the left, `ys` from the top; owner[row][column] is the (row, column) whose cell covers
    that place, itself unless the rule between them is missing."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    owner: tuple[tuple[tuple[int, int], ...], ...]

    def borders(self, left: float, right: float, y: float) -> tuple[float, ...]:
        """Upright rules between cells that a line from `left` to `right` at height `y` runs through."""
        if not (self.ys[-1] <= y <= self.ys[0] and left < self.xs[-1] and right > self.xs[0]):
            return ()
        return tuple(x for x in self.xs[1:-1] if left < x < right)

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """The cell that (x, y) lies in."""
        column = next((n for n, (a, b) in enumerate(pairwise(self.xs)) if a <= x <= b), None)
        row = next((n for n, (a, b) in enumerate(pairwise(self.ys)) if b <= y <= a), None)
        return None if row is None or column is None else self.owner[row][column]


def grids(rules: Sequence[Rule]) -> list[Grid]:
    """Ruled tables of at least two columns and two rows."""
    long = [rule for rule in rules if max(rule.x1 - rule.x0, rule.y1 - rule.y0) >= LEAST_LENGTH]
    if len(long) > MOST_RULES:  # a drawing
        return []
    levels, uprights = [r for r in long if r.level], [r for r in long if not r.level]
    return [grid for group in _connected(levels, uprights) if (grid := _grid(*group)) is not None]


def _connected(levels: list[Rule], uprights: list[Rule]) -> Iterable[tuple[list[Rule], list[Rule]]]:
    """Rules that cross or touch one another, directly or through others."""
    parent = list(range(len(levels) + len(uprights)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    by_place = sorted((rule.x, j, rule.y0 - SNAP, rule.y1 + SNAP) for j, rule in enumerate(uprights, start=len(levels)))
    xs = [x for x, *_ in by_place]
    for i, level in enumerate(levels):
        within = bisect_left(xs, level.x0 - SNAP), bisect_right(xs, level.x1 + SNAP)
        for _, j, low, high in by_place[slice(*within)]:
            if low <= level.y <= high:
                parent[root(i)] = root(j)
    groups: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for n, rule in enumerate([*levels, *uprights]):
        groups.setdefault(root(n), ([], []))[0 if n < len(levels) else 1].append(rule)
    return groups.values()


def _grid(levels: list[Rule], uprights: list[Rule]) -> Grid | None:
    xs = _snapped(rule.x for rule in uprights)
    ys = _snapped(rule.y for rule in levels)[::-1]
    at_y = {y: [rule for rule in levels if abs(rule.y - y) <= SNAP] for y in ys}
    at_x = {x: [rule for rule in uprights if abs(rule.x - x) <= SNAP] for x in xs}
    # What runs through no whole cell divides none: links are underlined.
    ys = [y for y in ys if any(_level_between(at_y[y], a, b) for a, b in pairwise(xs))]
    xs = [x for x in xs if any(_upright_between(at_x[x], a, b) for a, b in pairwise(ys))]
    if len(xs) < 3 or len(ys) < 3:
        return None
    rows, columns = len(ys) - 1, len(xs) - 1
    owner = [[(row, column) for column in range(columns)] for row in range(rows)]
    for row, (top, bottom) in enumerate(pairwise(ys)):
        for column, (left, right) in enumerate(pairwise(xs)):
            if column and not _upright_between(at_x[left], top, bottom):
                owner[row][column] = owner[row][column - 1]
            elif row and not _level_between(at_y[top], left, right):
                owner[row][column] = owner[row - 1][column]
    cells = {cell for line in owner for cell in line}
    if len({row for row, _ in cells}) < 2 or len({column for _, column in cells}) < 2:
        return None
    return Grid(tuple(xs), tuple(ys), tuple(map(tuple, owner)))


def _upright_between(uprights: Sequence[Rule], top: float, bottom: float) -> bool:
    """Whether rules at one place divide the row between `top` and `bottom`."""
    drawn = (min(rule.y1, top) - max(rule.y0, bottom) for rule in uprights)
    return sum(length for length in drawn if length > 0) >= DIVIDING_SHARE * (top - bottom)


def _level_between(levels: Sequence[Rule], left: float, right: float) -> bool:
    drawn = (min(rule.x1, right) - max(rule.x0, left) for rule in levels)
    return sum(length for length in drawn if length > 0) >= DIVIDING_SHARE * (right - left)


def _snapped(places: Iterable[float]) -> list[float]:
    """Places in order, those within SNAP of the one before left out."""
    kept: list[float] = []
    for place in sorted(places):
        if not kept or place - kept[-1] > SNAP:
            kept.append(place)
    return kept
