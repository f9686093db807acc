"""The theorems' pages: the sections of THEOREMS.md, a page a theorem and a page a chapter, and who uses each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path

from reference import homes

from proofs import book
from proofs.book import CHAPTERS, START
from proofs.ledger import load, rests_on

TIER = re.compile(r"\b(kernel|symbolic|certified|tested)\b")


@dataclass
class Theorem:
    """A theorem, its section of THEOREMS.md, and what rests on it."""

    slug: str
    title: str
    purpose: str
    chapter: str
    body: str
    rests_on: tuple[str, ...]
    carries: list[str] = field(default_factory=list)

    @property
    def tier(self) -> str:
        """Its tier with its marks, as the page says."""
        return self.body.split("*")[1]


@cache
def read(root: Path) -> dict[str, Theorem]:
    """Return the theorems, each with its section of docs/THEOREMS.md, in the order of that page."""
    bodies = book.sections((root / "docs/THEOREMS.md").read_text(encoding="utf-8"))
    loaded = {slug: item for slug, item in load().items() if not isinstance(item, str)}
    uses = {slug: theorem.uses for slug, theorem in loaded.items()}
    theorems = {
        slug: Theorem(
            slug,
            book.escaped(loaded[slug].title),
            book.escaped(loaded[slug].purpose),
            book.chapter(slug),
            body,
            rests_on(slug, uses),
        )
        for slug, body in bodies.items()
    }
    for theorem in theorems.values():
        for slug in theorem.rests_on:
            theorems[slug].carries.append(theorem.slug)
    return theorems


def pages(root: Path, sources: dict[str, str]) -> dict[str, str]:
    """Return the pages as Markdown, by path under theorems/.

    Args:
        root: the clone.
        sources: what may name a theorem: the text of notebooks, guides and pages, by the page's path on the site.
    """
    theorems = read(root)
    chapters = [name for name in CHAPTERS if any(t.chapter == name for t in theorems.values())]
    written = {
        f"{t.chapter}/{t.slug}.md": _page(root, t, theorems, sources) for t in theorems.values()
    }
    written |= {f"{chapter}.md": _chapter(chapter, theorems) for chapter in chapters}
    return written | {"index.md": _index(root, chapters, theorems)}


def _index(root: Path, chapters: list[str], theorems: dict[str, Theorem]) -> str:
    head = (root / "docs/THEOREMS.md").read_text(encoding="utf-8").partition("\n| theorem |")[0]
    first = [
        f"{k}. [`{slug}`]({theorems[slug].chapter}/{slug}.md): {theorems[slug].purpose}"
        for k, slug in enumerate(START, 1)
        if slug in theorems
    ]
    lines = ["# Theorems", "", "## Start here", "", *first]
    for chapter in chapters:
        lines += ["", f"## [{CHAPTERS[chapter][0]}]({chapter}.md)", "", *_table(chapter, theorems)]
    lines += [
        "",
        "## How to read them",
        "",
        head.partition("\n")[2].strip(),
        "",
        "```{toctree}",
        ":hidden:",
        "",
    ]
    return "\n".join([*lines, "../what_the_paper_claims", *chapters, "```", ""])


def _table(chapter: str, theorems: dict[str, Theorem]) -> list[str]:
    rows = [
        f"| [`{t.slug}`]({chapter}/{t.slug}.md) | {t.title} | {_badge(t.tier)} |"
        for t in theorems.values()
        if t.chapter == chapter
    ]
    return ["| theorem | what it says | tier |", "|---|---|---|", *rows]


def _badge(tier: str) -> str:
    kind = TIER.search(tier)
    return f"[{tier}]{{.tier .{kind[1]}}}" if kind else tier


def _chapter(chapter: str, theorems: dict[str, Theorem]) -> str:
    own = [t for t in theorems.values() if t.chapter == chapter]
    inside = {t.slug for t in own if t.rests_on or t.carries}
    inside |= {slug for t in own for slug in (*t.rests_on, *t.carries)}
    picture = graph(
        [(above, slug) for slug in inside for above in theorems[slug].rests_on if above in inside],
        {slug: f"{theorems[slug].chapter}/{slug}.html" for slug in inside},
        f"What rests on what in the chapter {chapter}",
    )
    lines = [
        f"# {CHAPTERS[chapter][0]}",
        "",
        CHAPTERS[chapter][1],
        "",
        *_table(chapter, theorems),
        "",
    ]
    if inside:
        lines += [
            "## What rests on what",
            "",
            "A theorem stands to the right of those that it rests on.",
            "",
        ]
        lines += ["```{raw} html", picture, "```", ""]
    lines += ["```{toctree}", ":hidden:", "", *(f"{chapter}/{t.slug}" for t in own), "```"]
    return "\n".join(lines) + "\n"


def _page(
    root: Path, theorem: Theorem, theorems: dict[str, Theorem], sources: dict[str, str]
) -> str:
    body = re.sub(r"\(#(\w+)\)", lambda m: f"(../{theorems[m[1]].chapter}/{m[1]}.md)", theorem.body)
    tier = theorem.tier
    body = body.replace(f"*{tier}*", _badge(tier), 1)
    body = re.sub(
        r"(?<=\)\*\* )\*((?:kernel|symbolic|certified|tested)[^*]*)\*$",
        lambda m: _badge(m[1]),
        body,
        flags=re.M,
    )
    body = re.sub(r"`(mi\.[\w.]+)`", _reference, body)
    lines = [
        f"# `{theorem.slug}`",
        "",
        f"**{theorem.title}**",
        "",
        body,
        "",
        "## Where it stands",
        "",
    ]
    lines += [f"* chapter: [{CHAPTERS[theorem.chapter][0]}](../{theorem.chapter}.md)"]
    module = f"proofs/theorems/{theorem.chapter}/{theorem.slug}.py"
    lines += [f"* check it: `python -m proofs {theorem.slug}`; its module is `{module}`"]
    lines += _used(root, theorem.slug, sources)
    if theorem.rests_on or theorem.carries:
        edges = [(slug, theorem.slug) for slug in theorem.rests_on]
        edges += [(theorem.slug, slug) for slug in theorem.carries]
        links = {
            slug: f"../{theorems[slug].chapter}/{slug}.html" for edge in edges for slug in edge
        }
        title = f"What {theorem.slug} rests on, left, and what rests on it, right"
        lines += ["", f"{title}:", "", "```{raw} html", graph(edges, links, title), "```"]
    return "\n".join(lines) + "\n"


def _reference(match: re.Match[str]) -> str:
    home = homes().get(match[1])
    return f"{{py:obj}}`{match[1]} <{home}>`" if home else match[0]


def _used(root: Path, slug: str, sources: dict[str, str]) -> list[str]:
    word = re.compile(rf"\b{slug}\b")
    cited = [
        name for name, text in _docstrings().items() if re.search(rf"Theorem: .*\b{slug}\b", text)
    ]
    lines = []
    if cited:
        lines.append("* code: " + ", ".join(f"{{py:obj}}`{name}`" for name in cited))
    experiments = sorted(
        {
            path.parent.name
            for path in root.glob("toy/*/*.py")
            if word.search(path.read_text("utf-8"))
        }
    )
    if experiments:
        lines.append(
            "* experiments: " + ", ".join(f"`python -m toy {name}`" for name in experiments)
        )
    named = [name for name, text in sources.items() if word.search(text)]
    if named:
        lines.append("* pages: " + ", ".join(f"[](/{name})" for name in named))
    return lines


def _docstrings() -> dict[str, str]:
    import mi_estimators as mi

    texts: dict[str, str] = {}
    for short, home in homes().items():
        if short.startswith("mi."):
            item: object = mi
            for part in home.split(".")[1:]:
                item = getattr(item, part)
            texts[home] = item.__doc__ or ""
    return texts


def graph(edges: Iterable[tuple[str, str]], links: dict[str, str], title: str) -> str:
    """Return a picture of (from, to): what stands further right rests on what stands left."""
    edges = sorted(set(edges))
    level = dict.fromkeys(links, 0)
    for _ in links:
        for start, end in edges:
            level[end] = max(level[end], level[start] + 1)

    columns: dict[int, list[str]] = {}
    for name in sorted(links):
        columns.setdefault(level[name], []).append(name)
    across, down, high = 270, 34, 24
    places = {
        n: (across * x, down * y) for x, names in columns.items() for y, n in enumerate(names)
    }
    width = across * len(columns) - 30
    height = down * max(map(len, columns.values()))

    curves, boxes = [], []
    for start, end in edges:
        (x0, y0), (x1, y1) = places[start], places[end]
        x0, y0, y1 = x0 + across - 30, y0 + high / 2, y1 + high / 2
        bend = (x1 - x0) / 2
        curves.append(f'<path d="M{x0} {y0}C{x0 + bend} {y0} {x1 - bend} {y1} {x1} {y1}"/>')
    for name, (x, y) in places.items():
        boxes.append(
            f'<a href="{escape(links[name])}">'
            f'<rect x="{x + 0.5}" y="{y + 0.5}" width="{across - 31}" height="{high - 1}" rx="4"/>'
            f'<text x="{x + 8}" y="{y + 16}">{escape(name)}</text></a>'
        )
    return (
        f'<div class="table-wrapper"><svg class="graph" role="group" aria-label="{escape(title)}" '
        f'style="min-width:{min(width, 700)}px;width:{width}px" viewBox="0 0 {width} {height}">'
        f"<title>{escape(title)}</title>{''.join(curves)}{''.join(boxes)}</svg></div>"
    )
