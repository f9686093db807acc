"""Heat maps of square tables: empty cells stay empty, flagged cells are marked."""

import math

import pytest

from mi_estimators.display import heat_map

pytest.importorskip("matplotlib")


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_cells():
    """Cells show their values and flags."""
    values = [[math.inf, 0.5], [0.5, 0.69]]
    figure = heat_map(
        ["a", "b"],
        values,
        [[False, True], [True, False]],
    )
    assert texts(figure) == ["0.50 !", "0.50 !", "0.69"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", "b"]


def test_empty_table():
    """A table without a finite cell is drawn empty."""
    assert texts(heat_map(["a"], [[math.inf]], [[False]])) == []
