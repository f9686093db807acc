"""The page: self-contained, with theory beside the measured, and with what other rooms left."""

import re

import pytest

from mi_estimators.display import INK
from toy import report, suite
from toy.collapse.run import Lazy


@pytest.fixture
def page(folder):
    return (folder / report.FILE).read_text(encoding="utf-8")


def test_figures(folder):
    """Figures lie beside the page, as PNG and SVG."""
    for name in (
        "escape",
        "escape_sampled",
        "who_samples",
        "lift",
        "collapse",
        "lazy",
        "ess",
        "variance",
        "language_model",
    ):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{name}.svg").read_text().startswith("<svg")


def test_self_contained(page):
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    assert not re.findall(r"@import|url\(\s*[\"']?(?!#)|<script[^>]+src|<link|<iframe", page)
    assert page.count("<figure ") == page.count("<figcaption>") == 10


def test_ink(page):
    """Figures take the ink of the page."""
    assert INK not in page
    assert "currentColor" in page
    assert "prefers-color-scheme: dark" in page


def test_theory(page):
    """The page shows theory beside the measured."""
    for value in ("506.4063", "54.09007", "never", "0.693", "-0.855", "e^(−2I)"):
        assert value in page.replace("−0.855", "-0.855"), value


def test_other_rooms(page):
    """The page shows what other rooms left, and escapes it."""
    assert "a &lt; b &amp; c" in page
    assert "mio: js, mix 0.5, β 0.1" in page
    assert "[-0.8545, 2.5462]" in page


def test_empty_sections(tmp_path):
    """Sections without data are left out."""
    rows = suite.run(
        {"collapse": (Lazy("dv", 1.0),)},
        "tiny",
        0,
        tmp_path,
        bar=False,
    )
    report.build(rows, tmp_path)
    text = (tmp_path / report.FILE).read_text()

    for heading in ("language model", "theorems", "Starvation"):
        assert heading not in text
