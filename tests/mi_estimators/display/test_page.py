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


def test_a_page_is_whole_and_loads_nothing(page, tmp_path):
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


def test_contents_appear_with_the_second_section(page):
    assert page.contents() == ""
    page.heading("Another")
    assert page.contents().count("<li>") == 2


def test_svg_takes_the_ink_of_the_page():
    with theme():
        text = svg(drawn())
    ET.fromstring(text)
    assert INK not in text
    assert "currentColor" in text


def test_the_same_figure_is_the_same_text():
    with theme():
        assert svg(drawn()) == svg(drawn())


def test_a_theme_leaves_the_callers_settings():
    before = dict(matplotlib.rcParams)
    with theme(font_size=7):
        assert matplotlib.rcParams["font.size"] == 7
        assert not matplotlib.rcParams["axes.spines.top"]
    assert dict(matplotlib.rcParams) == before


def test_importing_what_draws_leaves_the_callers_backend():
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
def test_every_bound_has_a_name_and_a_colour(name):
    assert label(name)[0].isupper()
    assert colour(name) in (*PALETTE, *COLOURS.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1e-5, "1.000e-05"), (float("inf"), "never"), (12345.0, "1.234e+04")],
)
def test_numbers_have_four_digits(value, text):
    assert number(value) == text


def test_a_folded_table_shows_its_title_once():
    table = Table(("a",), [("1",)])
    assert table.html("Title", folded=True).count("Title") == 1
    assert "<details>" not in table.html("Title")
