"""One reader for every argument whose rows belong together: the same values, the same refusals, one index."""

from functools import partial

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators import checks
from mi_estimators.estimation.grouping import group_labels
from mi_estimators.estimation.sides import fit_side
from mi_estimators.estimation.tables import array_of, check_aligned, guarded

N = 130
NUMBERS = np.random.default_rng(0).normal(size=(N, 2))
COLUMN = NUMBERS[:, 0]
HOLED = np.ma.array(NUMBERS, mask=NUMBERS > 1)
FAST = dict(steps=5, folds=2, hidden=8)
TINY = mi.MIEstimator(**FAST)

ENTRANCES = {
    "x": lambda rows: mi.estimate_mi(rows, COLUMN, **FAST),
    "y": lambda rows: mi.ksg(COLUMN, rows),
    "z": lambda rows: mi.conditional_mi(COLUMN, COLUMN, rows, **FAST),
    "column 'a'": lambda rows: mi.pairwise_mi({"a": rows, "b": COLUMN}, **FAST),
    "groups": lambda rows: mi.estimate_mi(COLUMN, COLUMN, groups=rows, **FAST),
    "y ": lambda rows: mi.permutation_test(COLUMN, rows, TINY),
}


def nullable(dtype):
    pandas = pytest.importorskip("pandas")
    return pandas.Series([1, pandas.NA] * (N // 2), dtype=dtype)


def holed(dtype):
    pandas = pytest.importorskip("pandas")
    return pandas.Series([np.nan, *COLUMN[1:]], dtype=dtype)


@pytest.mark.parametrize("name", ENTRANCES)
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda: HOLED[:, 0], r"expected no missing entries, got \d+ masked"),
        (lambda: list(HOLED), r"expected no missing entries, got \d+ masked"),
        (lambda: nullable("string"), "expected no missing entries, got 65"),
        (lambda: nullable("boolean"), "expected no missing entries, got 65"),
        (lambda: [np.nan, *"ab" * (N // 2 - 1), "a"], "expected no missing entries, got 1"),
        (lambda: torch.eye(N).to_sparse(), "expected a dense tensor, got layout"),
        (lambda: torch.zeros(N, device="meta"), "expected a tensor with entries"),
        (lambda: torch.zeros(N) * 1j, "expected real numbers, got dtype .*complex"),
        (lambda: holed(float), "expected (finite|no missing) entries, got (NaN or infinity|1)"),
        (lambda: holed(object), "expected no missing entries, got 1"),
        (lambda: {1, 2}, "expected rows as an array, tensor, list or table, got set"),
        (lambda: [{"a": 1}] * N, "expected a number, text or array in each cell, got dict"),
    ],
)
def test_one_reader(name, rows, message):
    """What one argument refuses by name, every one does."""
    with pytest.raises(ValueError, match=f"{name.strip()}: {message}"):
        ENTRANCES[name](rows())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (HOLED, r"expected no missing entries, got \d+ masked"),
        (torch.eye(N).to_sparse(), "expected a dense tensor"),
        (None, "expected rows as an array, tensor, list or table, got NoneType"),
        (NUMBERS[:, :, None], r"expected named columns or an array of shape \(n, k\)"),
    ],
)
def test_table_reader(table, message):
    """So does a table of columns."""
    with pytest.raises(ValueError, match=f"table: {message}"):
        mi.pairwise_mi(table, **FAST)


def test_sparse_table():
    """A sparse matrix of scipy is refused with advice."""
    scipy = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match=r"table: expected a dense array.*pass its toarray\(\)"):
        mi.pairwise_mi(scipy.csr_matrix(NUMBERS), **FAST)


def test_mixed_list():
    """Numbers beside labels stay numbers in a table of columns."""
    labels = ["low" if number < 0 else "high" for number in NUMBERS[:, 1]]
    rows = [[number, label] for number, label in zip(COLUMN.tolist(), labels, strict=True)]
    table = mi.pairwise_mi(rows, **FAST)
    assert table["0", "1"] == mi.estimate_mi(COLUMN, labels, **FAST)

    rows[0][0] = np.nan
    with pytest.raises(ValueError, match="column '0': expected no missing entries, got 1"):
        mi.pairwise_mi(rows, **FAST)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_matrix():
    """A matrix of numpy is an array of rows."""
    estimate = mi.estimate_mi(NUMBERS, COLUMN, **FAST)
    assert mi.estimate_mi(np.asmatrix(NUMBERS), COLUMN, **FAST) == estimate


def test_names_that_are_numbers():
    """Columns whose names are numbers are found by them."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({7: COLUMN, 8: np.arange(N) % 3})
    pairs = mi.pairwise_mi(table, discrete=[8], **FAST)
    assert pairs[7, 8] == mi.estimate_mi(COLUMN, np.arange(N) % 3, discrete="y", **FAST)


def series(shuffled=False):
    pandas = pytest.importorskip("pandas")
    rows = pandas.Series(np.arange(N) // 2)
    return rows.sample(frac=1, random_state=0) if shuffled else rows


ALIGNED = {
    "estimate_mi": partial(mi.estimate_mi, **FAST),
    "ksg": mi.ksg,
    "permutation_test": partial(mi.permutation_test, estimator=TINY, permutations=1),
    "independence": partial(checks.independence, estimator=TINY),
    "self_consistency": partial(checks.self_consistency, estimator=TINY),
    "conditional_mi": lambda x, y, **rows: mi.conditional_mi(x, y, NUMBERS[:, 1], **rows, **FAST),
    "pairwise_mi": lambda x, y, **rows: mi.pairwise_mi({"x": x, "y": y}, **rows, **FAST),
}


@pytest.mark.parametrize("function", ALIGNED)
@pytest.mark.parametrize("argument", ["y", "groups"])
def test_one_index(function, argument):
    """Every argument whose rows belong together has the index of x."""
    rows = {"x": series() + COLUMN, "y": NUMBERS[:, 1], argument: series(shuffled=True)}
    with pytest.raises(ValueError, match=f"{argument}: expected the index of x, got a different"):
        ALIGNED[function](**rows)


def test_index_of_z():
    with pytest.raises(ValueError, match="z: expected the index of x, got a different one"):
        mi.conditional_mi(series(), COLUMN, series(shuffled=True), **FAST)


def test_index_of_columns():
    """The columns of a mapping have one index, which counts for the mapping."""
    rows = {"a": COLUMN, "b": series(), "c": series(shuffled=True)}
    with pytest.raises(ValueError, match=r"x\['c'\]: expected the index of x\['b'\], got a"):
        fit_side("x", rows)
    del rows["c"]
    with pytest.raises(ValueError, match="y: expected the index of x, got a different one"):
        check_aligned({"x": rows, "y": series(shuffled=True)})

    check_aligned({"x": rows, "y": COLUMN, "groups": series()})


def cells(kind):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"pair": [kind(row) for row in NUMBERS], "one": COLUMN})


def arrow(rows):
    return pytest.importorskip("pyarrow").table({"pair": rows.tolist(), "one": rows[:, 0]})


@pytest.mark.parametrize(
    "table",
    [
        lambda: cells(list),
        lambda: cells(tuple),
        lambda: cells(np.array),
        lambda: cells(torch.tensor),
        lambda: arrow(NUMBERS),
    ],
    ids=["lists", "tuples", "arrays", "tensors", "arrow"],
)
def test_cells(table):
    """Cells that hold arrays of one shape, such as embeddings, are columns."""
    side, rows = fit_side("x", table())
    assert torch.equal(rows, torch.tensor(np.c_[NUMBERS, COLUMN]))
    assert torch.equal(side.read(table()), rows)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (NUMBERS[0, :1], r"expected cells of one shape, got \(1,\) and \(2,\); cut or fill them"),
        ("a", "expected an array in each cell, got str beside arrays; cut or fill them"),
        (None, "expected no missing entries, got 1"),
    ],
)
def test_bad_cells(cell, message):
    """Cells of several shapes are refused with advice."""
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=f"x: {message}"):
        fit_side("x", pandas.Series([cell, *NUMBERS[1:]]))


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.bfloat16, torch.float16, torch.float8_e5m2],
)
def test_tensors(dtype):
    """Tensors are read in every precision, with and without gradients, also in lists."""
    rows = torch.arange(N).remainder(8).to(dtype)
    expected = torch.arange(N).remainder(8).double()
    learned = [torch.tensor(float(row), requires_grad=True) for row in rows]
    for value in (rows, list(rows), learned):
        assert torch.equal(fit_side("x", value)[1][:, 0], expected)
        assert torch.equal(group_labels(value, N), expected.long())


def test_bytes():
    """Bytes that are no text are labels."""
    rows = [b"\xff", "a"] * (N // 2)
    assert fit_side("x", rows)[0].discrete
    assert array_of("x", rows).tolist() == rows


def test_variable_strings():
    """Text of any of numpy's types is labels."""
    labels = np.array(["red", "green"] * (N // 2))
    texts = labels.astype(np.dtypes.StringDType())
    assert torch.equal(fit_side("x", texts)[1], fit_side("x", labels)[1])


def test_several_columns_of_groups():
    pandas = pytest.importorskip("pandas")
    pairs = pandas.MultiIndex.from_tuples([(k, k) for k in range(N)])
    for groups in (pairs, NUMBERS, pandas.DataFrame(NUMBERS)):
        with pytest.raises(ValueError, match=r"groups: expected a label for each .* into one"):
            group_labels(groups, N)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([10**400, *range(N)], "x: expected numbers below 1.8e308, got a larger one; pass its log"),
        (np.arange(N).astype("V8"), "x: expected numbers, text, dates or categories that numpy"),
    ],
)
def test_unreadable(value, message):
    """What no conversion takes is refused by name."""
    with pytest.raises(ValueError, match=message):
        fit_side("x", value)


@pytest.mark.parametrize("error", [TypeError, RuntimeError, OverflowError, KeyError, ValueError])
def test_guard(error):
    """Whatever another library says, the message names the argument, once."""
    message = r"^y: expected numbers, .*another library"
    with pytest.raises(ValueError, match=message) as caught, guarded("y"), guarded("y"):
        raise error("another library")
    assert str(caught.value).count("y: ") == 1


@pytest.mark.parametrize(("discrete", "same"), [(None, ""), (["z"], "z")])
def test_discrete(discrete, same):
    """`conditional_mi` takes None for no labels, as `estimate_mi` does."""
    rows = COLUMN, NUMBERS[:, 1], np.arange(N) % 2
    values = [mi.conditional_mi(*rows, discrete=sides, **FAST).nats for sides in (discrete, same)]
    assert values[0] == values[1]


@pytest.mark.parametrize("discrete", [5, "a"])
def test_bad_discrete(discrete):
    with pytest.raises(ValueError, match="discrete: expected letters of 'xyz', got"):
        mi.conditional_mi(COLUMN, COLUMN, COLUMN, discrete=discrete)


def test_device_without_numbers():
    with pytest.raises(ValueError, match="device: expected 'auto' or an available torch device"):
        mi.estimate_mi(COLUMN, COLUMN, device="meta")
