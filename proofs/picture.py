"""What rests on what, drawn: theorems in columns, each to the right of all that it uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mi_estimators.display.style import BLUE, GREY

WIDTH, HEIGHT, GAP = 230, 22, 70  # of a box, and between columns


def _depths(uses: Mapping[str, Iterable[str]], slugs: Iterable[str]) -> dict[str, int]:
    """The longest way from each theorem down to one that rests on none of those drawn."""
    drawn = set(slugs)
    depths: dict[str, int] = {}

    def depth(slug: str) -> int:
        if slug not in depths:
            depths[slug] = max(
                (1 + depth(below) for below in uses[slug] if below in drawn), default=0
            )
        return depths[slug]

    return {slug: depth(slug) for slug in drawn}


def _rows(
    depths: Mapping[str, int], uses: Mapping[str, Iterable[str]]
) -> dict[str, tuple[int, int]]:
    """Column and row of each theorem: near the mean row of what it uses."""
    places: dict[str, tuple[int, int]] = {}
    for column in range(max(depths.values(), default=-1) + 1):

        def height(slug: str) -> tuple[float, str]:
            below = [places[name][1] for name in uses[slug] if name in places]
            return (sum(below) / len(below) if below else 0.0, slug)

        own = sorted((slug for slug, depth in depths.items() if depth == column), key=height)
        places.update({slug: (column, row) for row, slug in enumerate(own)})

    return places


def picture(slugs: Iterable[str], uses: Mapping[str, Iterable[str]]) -> str:
    """Return an SVG of theorems and of those that they use directly, the latter in grey.

    Args:
        slugs: the theorems.
        uses: slug → those that it uses, for all theorems.

    >>> picture(["b"], {"a": (), "b": ("a",)}).count("<rect")
    2
    """
    own = list(slugs)
    drawn = {*own, *(below for slug in own for below in uses[slug])}
    places = _rows(_depths(uses, drawn), uses)
    corners = {s: (c * (WIDTH + GAP) + 4, r * (HEIGHT + 10) + 4) for s, (c, r) in places.items()}

    shapes = []
    for slug in sorted(own):
        x, y = corners[slug][0], corners[slug][1] + HEIGHT / 2
        for below in uses[slug]:
            x0, y0 = corners[below][0] + WIDTH, corners[below][1] + HEIGHT / 2
            bend = f"C{x0 + GAP / 2} {y0} {x - GAP / 2} {y} {x} {y}"
            shapes.append(f'<path d="M{x0} {y0} {bend}" fill="none" stroke="{GREY}"/>')

    for slug, (x, y) in sorted(corners.items()):
        colour = BLUE if slug in own else GREY
        box = f'width="{WIDTH}" height="{HEIGHT}" rx="4" fill="none" stroke="{colour}"'
        shapes.append(f'<rect x="{x}" y="{y}" {box}/>')
        shapes.append(f'<text x="{x + 8}" y="{y + 15}" fill="{colour}">{slug}</text>')

    width = max((x for x, _ in corners.values()), default=0) + WIDTH + 4
    height = max((y for _, y in corners.values()), default=0) + HEIGHT + 4
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
    return "\n".join([f'{head} font-family="sans-serif" font-size="12">', *shapes, "</svg>"]) + "\n"
