"""A self-contained HTML page: paragraphs, tables and figures in order, legible in light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from .files import whole_file
from .svg import dark_png, png, svg
from .table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CSS = """
:root {
  color-scheme: light dark;
  --ink: #1f2328; --paper: #ffffff; --rule: #d1d9e0; --soft: #59636e; --alert: #d55e00;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #12161c; --rule: #3d444d; --soft: #a0a8b1; }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.2rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .6rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
p, figcaption { max-width: 56rem; }
nav ol { padding-left: 1.4rem; columns: 2 22rem; column-gap: 3rem; }
a { color: inherit; text-underline-offset: .2em; }
.soft, figcaption { color: var(--soft); font-size: .92rem; }
.alert { border-left: 4px solid var(--alert); padding: .1rem .8rem; }
.panels {
  display: grid; gap: 1rem 1.6rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr));
}
.panels figure { margin: 0; min-width: 0; }
figure { margin: 1.2rem 0 1.6rem; min-width: min(100%, 44rem); }
svg text { font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.drawn { overflow-x: auto; }
.drawn svg { min-width: 34rem; }
figure svg { display: block; width: 100%; height: auto; color: var(--ink); }
figcaption { margin-bottom: .5rem; color: var(--ink); }
figure details { color: var(--soft); font-size: .92rem; }
.scroll {
  overflow-x: auto; margin: 1rem 0;
  background: linear-gradient(to left, var(--paper) 60%, transparent) right / 2rem 100% no-repeat local,
    linear-gradient(to left, var(--rule), transparent) right / 1.2rem 100% no-repeat scroll;
}
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td {
  padding: .28rem .8rem .28rem 0; border-bottom: 1px solid var(--rule);
  text-align: left; vertical-align: top;
}
td { white-space: nowrap; }
td.long { white-space: normal; min-width: 18rem; }
th { font-weight: 600; }
caption { caption-side: top; text-align: left; font-weight: 600; padding-bottom: .3rem; }
details { margin: .8rem 0; }
summary { cursor: pointer; }
"""


def one_line(text: str) -> str:
    """Return the text with every run of white space as one space."""
    return " ".join(text.split())


def titled(caption: str) -> tuple[str, str]:
    """Return what a figure is to show, and how it was made.

    >>> titled("Lines: theory. To see: the share falls. Judge the count.")
    ('The share falls. Judge the count.', 'Lines: theory.')
    >>> titled("The share falls. Lines: theory.")
    ('The share falls.', 'Lines: theory.')
    """
    made, mark, seen = caption.partition("To see: ")
    if mark:
        return seen[:1].upper() + seen[1:], made.strip()
    title, dot, others = caption.partition(". ")
    return title + dot.strip(), others


def described(drawn: str, title: str) -> str:
    """Return the <svg> of a figure as a picture with a name, for those who do not see it."""
    return drawn.replace("<svg", f'<svg role="img" aria-label="{escape(title, quote=True)}"', 1)


@dataclass
class Page:
    """What has been put on a page so far.

    Attributes:
        title: the page's title.
        parts: fragments of HTML, in order.
        headings: the sections, which the table of contents names.
        figures: SVG, PNG and dark PNG of every numbered figure, by the name of its files.
        titles: what every numbered figure is to show, by the same names.
        opening: number of parts that stand before the table of contents.
    """

    title: str
    parts: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    figures: dict[str, tuple[str, bytes, bytes]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    opening: int = 0

    def end_opening(self) -> None:
        """Put the table of contents here, after what a reader is to see first."""
        self.opening = len(self.parts)

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.headings.append(escape(text))
        self.parts.append(f"<h2 id=section-{len(self.headings)}>{escape(text)}</h2>")

    def text(self, text: str, *, soft: bool = False) -> None:
        """Add a paragraph."""
        self._paragraph(text, "soft" if soft else "")

    def alert(self, text: str) -> None:
        """Add a warning, marked by a coloured bar."""
        self._paragraph(text, "alert")

    def _paragraph(self, text: str, kind: str) -> None:
        attribute = f" class={kind}" if kind else ""
        self.parts.append(f"<p{attribute}>{escape(one_line(text))}</p>")

    def notes(self, title: str, paragraphs: Iterable[str]) -> None:
        """Add paragraphs that show when their title is opened."""
        texts = "".join(f"<p>{escape(one_line(text))}</p>" for text in paragraphs)
        self.parts.append(
            f"<details class=soft><summary>{escape(title)}</summary>{texts}</details>"
        )

    def html(self, fragment: str) -> None:
        """Add a fragment of HTML as it is: nothing in it is escaped."""
        self.parts.append(fragment)

    def table(self, title: str, table: Table, *, folded: bool = False) -> None:
        """Add a table, if it has a row."""
        if table.body:
            self.parts.append(table.html(title, folded=folded))

    def figure(self, name: str, figure: Figure, caption: str) -> None:
        """Add a numbered figure with a caption that can be read alone; `write` leaves its files beside the page.

        What follows "To see: " in the caption is its title; how the figure was made is folded below it.
        """
        title, made = titled(one_line(caption))
        drawn = described(svg(figure), title)
        width = 6.6 * figure.get_figwidth()  # 10 inches fill the page; smaller ones stay small

        figure.set_layout_engine("none")  # the layout is found: the PNG need not find it again
        self.figures[name] = (drawn, png(figure), dark_png(figure))
        self.titles[name] = title

        head = f"<b>Figure {len(self.figures)}.</b> {escape(title)}"
        fold = f"<details><summary>What is drawn</summary><p>{escape(made)}</p></details>"
        body = f"<figcaption>{head}</figcaption><div class=drawn tabindex=0>{drawn}</div>"
        body += fold if made else ""
        self.parts.append(f"<figure style='max-width: {width:.0f}rem'>{body}</figure>")

    def panels(self, panels: Iterable[tuple[Figure, str]]) -> None:
        """Add small figures with their captions, side by side where there is room."""
        figures = (
            f"<figure>{described(svg(figure), one_line(caption))}"
            f"<figcaption>{escape(one_line(caption))}</figcaption></figure>"
            for figure, caption in panels
        )
        self.parts.append(f"<section class=panels>{''.join(figures)}</section>")

    def contents(self) -> str:
        """Return the table of contents, or nothing where there is but one section."""
        if len(self.headings) < 2:
            return ""
        items = (
            f"<li><a href=#section-{k}>{text}</a></li>" for k, text in enumerate(self.headings, 1)
        )

        return f"<nav aria-label=Contents><ol>{''.join(items)}</ol></nav>\n"

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all, and every numbered figure as PNG and SVG beside it."""
        for name, (drawn, picture, dark) in self.figures.items():
            path.with_name(f"{name}.png").write_bytes(picture)
            path.with_name(f"{name}-dark.png").write_bytes(dark)
            path.with_name(f"{name}.svg").write_text(drawn, encoding="utf-8")

        head = (
            "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
            "<meta name=viewport content='width=device-width, initial-scale=1'>"
            f"<title>{escape(self.title)}</title><style>{CSS}</style></head>"
        )

        first, others = self.parts[: self.opening], self.parts[self.opening :]
        start = f"<body><main><h1>{escape(self.title)}</h1>\n"
        body = "\n".join([*first, self.contents(), *others])

        with whole_file(path) as file:
            file.write(f"{head}{start}{body}\n</main></body></html>\n".encode())
