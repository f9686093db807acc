"""Tables, figures and pages; and what drawing leaves as it was."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib
import pytest
from matplotlib.figure import Figure

import mi_estimators as mi
from mi_estimators.display import (
    COLOURS,
    INK,
    PALETTE,
    Page,
    Table,
    colour,
    label,
    number,
    svg,
    theme,
)


def drawn() -> Figure:
    """A figure with a line and a label."""
    figure = Figure(figsize=(2, 2))
    figure.add_subplot().plot([0, 1], label="line")
    return figure


@pytest.fixture
def page():
    page = Page("A <title>")
    page.heading("First & second")
    page.text("A paragraph\n   over two lines.")
    page.alert("Something is wrong.")
    page.table("Numbers", Table(("bound", "nats"), [("dv", "0.5"), ("<js>", "0.4")]))
    page.table("Nothing", Table(("bound",), []))

    with theme():
        page.figure("line", drawn(), "A line.")
        page.panels([(drawn(), "Left."), (drawn(), "Right.")])

    return page


def test_whole_page(page, tmp_path):
    """A page is self-contained: it loads nothing."""
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()

    assert "<title>A &lt;title&gt;</title>" in text
    assert "<p>A paragraph over two lines.</p>" in text
    assert "<p class=alert>" in text
    assert "&lt;js&gt;" in text
    assert "Nothing" not in text
    assert text.count("<svg") == 3
    assert "src=" not in text
    assert {path.name for path in tmp_path.iterdir()} == {
        "page.html",
        "line.png",
        "line-dark.png",
        "line.svg",
    }


def test_contents(page):
    """A table of contents appears with the second section."""
    assert page.contents() == ""
    page.heading("Another")
    assert page.contents().count("<li>") == 2


def test_svg_ink():
    """An SVG takes the text colour of the page."""
    with theme():
        text = svg(drawn())
    ET.fromstring(text)
    assert INK not in text
    assert "currentColor" in text


def test_same_text():
    """The same figure is the same text."""
    with theme():
        assert svg(drawn()) == svg(drawn())


def test_theme_settings():
    """A theme leaves the caller's settings."""
    before = dict(matplotlib.rcParams)
    with theme(font_size=7):
        assert matplotlib.rcParams["font.size"] == 7
        assert not matplotlib.rcParams["axes.spines.top"]
    assert dict(matplotlib.rcParams) == before


def test_backend():
    """Importing what draws leaves the caller's backend."""
    code = """
import matplotlib
matplotlib.use("svg")
before = dict(matplotlib.rcParams)
import mi_estimators.display, toy.report, llm_adapter.training.page
import benchmarks.estimators.figures, benchmarks.smollm2_arithmetic.tables
assert matplotlib.get_backend() == "svg"
assert dict(matplotlib.rcParams) == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", mi.DIVERGENCES)
def test_names_and_colours(name):
    """Every bound has a name and a colour."""
    assert label(name)[0].isupper()
    assert colour(name) in (*PALETTE, *COLOURS.values())


def test_names_of_losses():
    """A figure calls a loss as its row does."""
    for name, row in mi.preference.ALTERNATIVES.items():
        assert label(name) == row.label


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1e-5, "1.000e-05"), (float("inf"), "never"), (12345.0, "1.234e+04")],
)
def test_digits(value, text):
    assert number(value) == text


def test_folded_table():
    """A folded table shows its title once."""
    table = Table(("a",), [("1",)])
    assert table.html("Title", folded=True).count("Title") == 1
    assert "<details>" not in table.html("Title")


def test_scroll_shadow(browser, tmp_path):
    """A shade at the right edge says that a table goes on: not beside a narrow one, and gone at its end."""
    image = pytest.importorskip("PIL.Image")
    page = Page("Tables")
    page.table("narrow", Table(("a",), [["1"]]))
    page.table("wide", Table([f"column {k}" for k in range(20)], [["an entry"] * 20]))
    page.write(tmp_path / "page.html")

    tab = browser.new_page(viewport={"width": 700, "height": 420}, color_scheme="light")
    tab.goto((tmp_path / "page.html").as_uri())

    def shaded(place):
        """Whether the last column of pixels of a table's box is darker than the page."""
        box = tab.locator(".scroll").nth(place)
        box.screenshot(path=tmp_path / "box.png")
        pixels = image.open(tmp_path / "box.png").convert("L")
        return pixels.getpixel((pixels.width - 2, 4)) < 245

    assert not shaded(0)
    assert shaded(1)
    tab.evaluate("document.querySelectorAll('.scroll')[1].scrollLeft = 1e6")
    assert not shaded(1)
    tab.close()
