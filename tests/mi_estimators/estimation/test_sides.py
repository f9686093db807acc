"""What users bring as rows: read as numpy, pandas and torch users expect, or refused by name."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mi_estimators.diagnostics.hashes import codes_of, row_hashes
from mi_estimators.estimation.order import canonical_order
from mi_estimators.estimation.sides import fit_side

N = 70
NUMBERS = np.random.default_rng(0).normal(size=(N, 2))
COLUMN = NUMBERS[:, 0]
LABELS = ["red", "green"] * (N // 2)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (NUMBERS, (2,)),
        (NUMBERS.tolist(), (2,)),
        (list(NUMBERS), (2,)),
        (COLUMN, (1,)),
        (NUMBERS[::-1], (2,)),
        (NUMBERS.astype(">f4"), (2,)),
        (torch.tensor(NUMBERS), (2,)),
        (torch.tensor(NUMBERS, requires_grad=True), (2,)),
        (np.ma.array(NUMBERS), (2,)),
        (NUMBERS.reshape(N, 2, 1, 1), (2, 1, 1)),
        (np.arange(N).astype("datetime64[D]"), (1,)),
        (np.arange(N).astype(object), (1,)),
    ],
)
def test_numbers(value, shape):
    """Numbers are rows of float64."""
    side, rows = fit_side("x", value)
    assert side.shape == shape
    assert rows.shape == (N, int(np.prod(shape)))
    assert rows.dtype == torch.float64
    assert not side.discrete
    assert torch.equal(side.read(value), rows)


def frame(names):
    return pytest.importorskip("pandas").DataFrame(NUMBERS, columns=names)


def frame_of_two_levels(names):
    levels = pytest.importorskip("pandas").MultiIndex.from_tuples([(name, "b") for name in names])
    return frame(levels)


def arrow(names):
    return pytest.importorskip("pyarrow").Table.from_arrays(list(NUMBERS.T.copy()), names=names)


@pytest.mark.parametrize("table", [frame, frame_of_two_levels, arrow])
def test_twins(table):
    """Two columns of one name are refused, in a first and in a fresh table."""
    with pytest.raises(ValueError, match=r"x: expected distinct column names, got .*'a'.* twice"):
        fit_side("x", table(["a", "a"]))

    side, rows = fit_side("x", table(["a", "A"]))
    assert rows.shape == (N, 2)
    with pytest.raises(ValueError, match="twice; rename or drop one"):
        side.read(table(["a", "a"]))


@pytest.mark.parametrize("value", [LABELS, np.array(LABELS), np.array(LABELS, object)])
def test_labels(value):
    """Labels are columns of indicators."""
    side, rows = fit_side("y", value)
    assert side.discrete
    assert rows.sum(1).tolist() == [1] * N
    assert torch.equal(side.read(LABELS[:3]), rows[:3])


def test_mixed_table():
    """A table has columns of several kinds."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {"number": COLUMN, "label": LABELS, "code": pandas.Categorical([1, 2, 3, 1, 2] * 14)}
    )
    side, rows = fit_side("x", table)

    assert side.shape == (3,)
    assert rows.shape == (N, 1 + 2 + 3)
    assert not side.discrete
    assert fit_side("x", table["code"])[0].discrete


DAYS = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=k) for k in range(N)]
FAR = timezone(timedelta(hours=9))


@pytest.mark.parametrize(
    "value",
    [
        [day.date() for day in DAYS],
        [day.replace(tzinfo=None) for day in DAYS],
        DAYS,
        [day.astimezone(FAR) if day.day % 2 else day for day in DAYS],
        [day - DAYS[0] for day in DAYS],
        [Decimal(k) / 3 for k in range(N)],
        [Fraction(k, 3) for k in range(N)],
    ],
    ids=["dates", "times", "universal", "two zones", "spans", "decimals", "fractions"],
)
def test_objects(value):
    """Objects that are numbers are read as numbers."""
    side, rows = fit_side("x", value)
    assert not side.discrete
    steps = rows.diff(dim=0)
    torch.testing.assert_close(steps, steps[:1].expand_as(steps))


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_dates(zone):
    """Tables of dates are read as numbers."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"time": pandas.date_range("2020", periods=N, tz=zone)})
    table["day"] = pandas.period_range("2020", periods=N, freq="D")
    side, rows = fit_side("x", table)
    assert side.kinds == (None, None)
    assert torch.equal(rows.diff(dim=0), rows.diff(dim=0)[:1].expand(N - 1, 2))


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_missing_category(missing):
    """A missing category is no label."""
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="x: expected no missing entries, got 1"):
        fit_side("x", pandas.Series([missing, *LABELS[1:]], dtype="category"))


@pytest.mark.parametrize(
    "value",
    [
        {"a": COLUMN, "b": LABELS},
        np.rec.fromarrays([COLUMN, LABELS], names="a,b"),
    ],
    ids=["mapping", "records"],
)
def test_named_columns(value):
    """Named columns are a table."""
    side, rows = fit_side("x", value)
    assert side.shape == (2,)
    assert rows.shape == (N, 1 + len(set(LABELS)))


def test_arrow():
    """Columns of Arrow are a table."""
    arrow = pytest.importorskip("pyarrow")
    value = arrow.table({"a": COLUMN, "b": NUMBERS[:, 1]})
    assert torch.equal(fit_side("x", value)[1], torch.tensor(NUMBERS))


def test_series_without_pandas():
    """A column of another library, such as a polars Series, needs no pandas."""
    series = SimpleNamespace(dtype=float, to_numpy=lambda: COLUMN, to_pandas=None)
    assert torch.equal(fit_side("x", series)[1], torch.tensor(NUMBERS[:, :1]))


def test_fields_of_several_columns():
    """A field of records may hold several columns."""
    records = np.zeros(N, [("pair", float, 2), ("one", float)])
    records["pair"], records["one"] = NUMBERS, COLUMN
    expected = torch.tensor(np.c_[NUMBERS, COLUMN])
    assert torch.equal(fit_side("x", records)[1], expected)


def test_lone_labels():
    """Labels that no other row has are counted."""
    identifiers = [f"row {k}" for k in range(N - 4)] + ["row 0"] * 4
    side, _ = fit_side("x", identifiers)
    assert side.identifies
    assert f"{N - 5} of {N} rows have a label that no other row has" in side.notes[0]


SPELT = [f"{number:.2f}" for number in COLUMN]
CODES = [str(k % 5) for k in range(N)]


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (
            ["<0.1", *SPELT[1:]],
            f"{N - 1} of its {N} entries look like numbers; '<0.1' in row 0 ",
        ),
        (
            [*SPELT[:9], "1,5", *SPELT[10:]],
            f"{N} of its {N} .*; '1,5' in row 9 .from 0. is none",
        ),
        (np.array(["1_2", *CODES[1:]]), f"{N - 1} of its {N} entries"),
        (SPELT, f"{N} of its {N} entries look like numbers; pass numbers, or discrete="),
        (CODES, None),
        ([*CODES[:20], *LABELS[20:]], None),
    ],
)
def test_text_of_numbers(labels, note):
    """Labels that are mostly numbers are named, unless they are declared labels."""
    notes = " ".join(fit_side("x", labels)[0].notes)
    assert re.search(note, notes) if note else "look like numbers" not in notes

    assert "look like numbers" not in " ".join(fit_side("x", labels, discrete=True)[0].notes)
    pandas = pytest.importorskip("pandas")
    category = pandas.Series(labels, dtype="category")
    assert "look like numbers" not in " ".join(fit_side("x", category)[0].notes)


def test_many_labels():
    with pytest.raises(ValueError, match=r"at most 1000 different labels, got 1200; .* as numbers"):
        fit_side("x", [f"{k / 7:.6f}" for k in range(1200)])


def test_declared_codes():
    """Codes declared labels are labels."""
    codes = np.arange(N) % 5
    side, rows = fit_side("x", codes)

    assert rows.shape == (N, 1)
    assert re.search(r'5 whole numbers of column 0 .* discrete="x"', side.notes[0])

    side, rows = fit_side("x", codes, discrete=True)
    assert rows.shape == (N, 5)
    assert side.notes == ()
    assert torch.equal(side.read(codes[:7]), rows[:7])


def test_declared_rows():
    """Rows declared labels are one label each."""
    rows = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]] * 14)
    side, indicators = fit_side("x", rows, discrete=True)
    assert indicators.shape == (N, 3)
    assert torch.equal(side.read(rows[:4]), indicators[:4])


def test_constant_columns():
    """Columns that do not vary are left out and named."""
    side, rows = fit_side("x", np.c_[np.ones(N), NUMBERS, np.full(N, 1e300)])
    assert rows.shape == (N, 2)
    assert side.notes[0].startswith("x: column(s) 0, 3 do not vary")
    assert side.read(np.c_[np.zeros((2, 1)), NUMBERS[:2], np.zeros((2, 1))]).shape == (2, 2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": COLUMN, "b": LABELS[1:]}, "x: expected columns of one length, got"),
        (None, "x: expected rows as an array, tensor, list or table, got NoneType"),
        ("red", "x: expected rows as an array, tensor, list or table, got str"),
        ([[1, 2], [3]] * 35, "x: expected rows of equal length, got different lengths"),
        (NUMBERS[:63], "x: expected at least 64 rows, got 63"),
        (NUMBERS + 0j, "x: expected real numbers, got dtype complex128"),
        (np.where(NUMBERS > 2, np.nan, NUMBERS), "x: expected finite entries, got NaN or infinity"),
        (np.ma.array(NUMBERS, mask=NUMBERS > 2), "x: expected no missing entries, got"),
        (["red", None] * 35, "x: expected no missing entries, got 35"),
        (np.ones((N, 2)), "x: expected a column that varies, got 2 constant"),
        (np.zeros((N, 0)), r"x: expected shape \(n,\) or \(n, d\), got \(70, 0\)"),
        (torch.eye(N).to_sparse(), "x: expected a dense tensor, got layout torch.sparse_coo"),
        (
            SimpleNamespace(toarray=None),
            "x: expected a dense array, got SimpleNamespace; pass its toarray",
        ),
    ],
)
def test_unreadable_rows(value, message):
    """Rows that cannot be read are refused by name."""
    with pytest.raises(ValueError, match=message):
        fit_side("x", value)


@pytest.mark.parametrize(
    ("fitted", "fresh", "message"),
    [
        (NUMBERS, NUMBERS[:, :1], r"x: expected rows of shape \(2,\) as in fit, got \(1,\)"),
        (LABELS, ["blue"], "x: expected labels seen in fit, got blue"),
        (NUMBERS, np.full((3, 2), np.inf), "x: expected finite entries"),
    ],
)
def test_other_kind(fitted, fresh, message):
    """Fresh rows of another kind are refused."""
    with pytest.raises(ValueError, match=message):
        fit_side("x", fitted)[0].read(fresh)


@pytest.mark.parametrize("columns", [3, 40])
def test_canonical_order(columns):
    """The canonical order is that of the set."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, columns, generator=generator)
    y = torch.randint(3, (500, 1), generator=generator).double()
    labels = torch.randint(60, (500,), generator=generator)
    mixed, names = torch.randperm(500), torch.randperm(60)

    hashes = row_hashes(torch.cat([x, y], 1).numpy().T)
    order = canonical_order(hashes, labels)
    again = canonical_order(hashes[mixed], names[labels[mixed]])

    for rows in (x, y, names[labels]):
        assert torch.equal(rows[order], rows[mixed][again])


def test_codes():
    """Codes number the distinct rows."""
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    first, second, third = codes_of(rows).tolist()
    assert first == third != second
