"""Labels are one where their values are equal: not their types, nor how they are written."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mi_estimators.estimation.grouping import group_labels
from mi_estimators.estimation.labels import kinds_of, label_places, label_texts
from mi_estimators.estimation.sides import fit_side

WHOLE = [0, 1, 2] * 30
SCALARS = st.one_of(
    st.integers(-3, 3),
    st.integers(2**53 - 3, 2**53 + 3),
    st.integers(-3, 3).map(Decimal),
    st.integers(-3, 3).map(Fraction),
    st.sampled_from([-0.0, 0.0, 0.5, 1.0, 1e300, float(2**53)]),
    st.booleans(),
    st.sampled_from(["a", "b", "1.0", "-0.0", "01", ""]),
)


@given(SCALARS, SCALARS)
def test_identity(first, second):
    """Two labels are one if and only if their values are equal."""
    one, other = label_texts(np.array([first, second, None], object)[:2])
    assert (one == other) == (first == second)


@given(st.lists(st.floats(-(2**24), 2**24, width=32), min_size=1))
def test_types(numbers):
    """A number of float32 is the same label in each type that holds it."""
    column = np.array(numbers)
    for same in (
        column.astype(np.float32),
        column.astype(object),
        np.longdouble(column),
        np.where(column == 0, -column, column),
    ):
        assert label_texts(same).tolist() == label_texts(column).tolist()


@pytest.mark.parametrize(
    "fresh",
    [
        np.array(WHOLE, float),
        -np.array(WHOLE, np.int8) * -1.0,
        torch.tensor(WHOLE, dtype=torch.bfloat16),
        [Decimal(k) for k in WHOLE],
        [str(k) for k in WHOLE],
    ],
    ids=["float64", "negative zero", "bfloat16", "decimals", "text"],
)
def test_fresh_labels(fresh):
    """Fresh labels of another type are those of fit."""
    side, rows = fit_side("x", WHOLE, discrete=True)
    assert torch.equal(side.read(fresh), rows)
    assert torch.equal(fit_side("x", fresh, discrete=True)[1], rows)


def test_category_types():
    """Categories go by value, too."""
    pandas = pytest.importorskip("pandas")
    side, rows = fit_side("x", pandas.Series(WHOLE, dtype="category"))
    assert side.discrete
    assert torch.equal(side.read(pandas.Series(WHOLE, dtype=float).astype("category")), rows)


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
@pytest.mark.parametrize("kind", ["M8", "m8"])
def test_times(kind, unit):
    """A moment is the same label in every unit."""
    days = np.arange(5).astype(f"{kind}[D]")
    assert label_texts(days.astype(f"{kind}[{unit}]")).tolist() == label_texts(days).tolist()
    assert len(kinds_of("x", days)) == 5


def test_bytes():
    """Bytes are labels, whatever they encode."""
    entries = np.array([b"a", b"\xff", "é".encode(), b"\\xff"])
    assert label_texts(entries)[[0, 2]].tolist() == ["a", "é"]
    assert len(kinds_of("x", entries)) == 4


KINDS = [0.1, 0.5, 1 / 3]


@pytest.mark.parametrize(("fitted", "fresh"), [(np.float64, np.float32), (np.float32, np.float64)])
def test_rounded_labels(fitted, fresh):
    """A fraction in half the digits is the label that it rounds, where there is one alone."""
    kinds = kinds_of("x", np.array(KINDS, fitted))
    places, unknown = label_places(np.array([*KINDS, 0.7], fresh), kinds)
    assert kinds[places[:3]].tolist() == label_texts(np.array(KINDS, fitted)).tolist()
    assert len(unknown) == 1


@pytest.mark.parametrize(
    ("fitted", "fresh"),
    [
        (np.array([0.1, 0.1 + 1e-12]), np.float32([0.1])),  # either could be meant
        (np.array([0.1]), np.array([0.1 + 1e-12])),
        (np.array([2**24 + 1]), np.array([2**24])),
        (np.array(["1234", "inf"]), np.array(["01234", "1_234", "Infinity"])),
    ],
)
def test_other_labels(fitted, fresh):
    """Labels that differ are told apart."""
    assert len(label_places(fresh, kinds_of("x", fitted))[1]) == len(fresh)


def test_groups():
    """Groups go by value: −0 is 0, also among objects."""
    for groups in ([-0.0, 0.0, 1.0, 1], np.array([-0.0, 0, True, 1.0], object)):
        assert group_labels(groups, 4).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("missing", [np.nan, None])
def test_missing_labels(missing):
    """A missing number is no label."""
    with pytest.raises(ValueError, match="x: expected no missing entries, got 1; remove"):
        fit_side("x", [missing, *WHOLE], discrete=True)
