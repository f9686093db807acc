"""A table of columns, pair by pair: the same estimates as one by one, and errors that name the columns."""

import json
import math
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators import pairwise_mi
from tests.mi_estimators.shared import refused, seeded

FAST = dict(steps=10, hidden=8, batch_size=64, folds=2)


def three_columns():
    x, y = mi.laws.Gaussian(0.8).sample(200, seeded())
    walk = torch.randn(200, generator=seeded(1)).cumsum(0)
    return {"a": x[:, 0], "b & c": y[:, 0], "walk": walk}


@cache
def fitted():
    return pairwise_mi(three_columns(), **FAST)


@pytest.fixture
def table():
    return fitted()  # made in the first test, in double precision as all tests are


def test_cells(table):
    """Each cell is the estimate of two columns."""
    columns = three_columns()
    assert list(table.estimates) == [("a", "b & c"), ("a", "walk"), ("b & c", "walk")]
    for (a, b), estimate in table.estimates.items():
        assert estimate == mi.estimate_mi(columns[a], columns[b], **FAST)
        assert table[a, b] is table[b, a] is estimate


def test_symmetry(table):
    assert torch.equal(table.nats, table.nats.T)
    assert torch.equal(table.flagged, table.flagged.T)
    assert table.nats[0, 1] == table["a", "b & c"].nats
    assert table.verdicts[2][1] == table["walk", "b & c"].verdict
    assert [table.verdicts[k][k] for k in range(3)] == ["", "", ""]


def test_diagonal():
    """The diagonal is what a column tells of itself."""
    x = three_columns()["a"]
    table = pairwise_mi(
        {"x": x, "sign": x > 0, "kind": x.sign().long()},
        discrete=["kind"],
        **FAST,
    )

    assert table.nats[0, 0] == math.inf
    assert table.nats[1, 1] == pytest.approx(math.log(2), abs=0.02)
    assert table["sign", "kind"].nats == pytest.approx(math.log(2), abs=0.02)


def test_kinds_of_tables(table):
    """A data frame, an array, a tensor and a mapping are the same table."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({name: rows.numpy() for name, rows in three_columns().items()})
    values = [estimate.nats for estimate in table.estimates.values()]

    for other in (frame, frame.to_numpy(), torch.tensor(frame.to_numpy())):
        again = pairwise_mi(other, **FAST)
        assert [estimate.nats for estimate in again.estimates.values()] == values

    assert again.names == ("0", "1", "2")
    assert pairwise_mi(frame, **FAST).names == table.names


def test_kinds_of_names(table):
    """Records and columns of Arrow keep their names."""
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({name: rows.numpy() for name, rows in three_columns().items()})
    for other in (frame.to_records(index=False), arrow.table(frame)):
        again = pairwise_mi(other, **FAST)
        assert again.names == table.names
        assert (again["a", "walk"].nats, again["a", "walk"].interval) == (
            table["a", "walk"].nats,
            table["a", "walk"].interval,
        )


def test_wide_columns():
    columns = three_columns()
    rows = torch.stack([columns["a"], columns["walk"]], 1)
    labels = np.where(columns["a"] > 0, "high", "low")
    wide = pairwise_mi({"rows": rows, "label": labels}, groups=2, **FAST)
    assert wide["rows", "label"] == mi.estimate_mi(rows, labels, groups=2, **FAST)


def test_report(table):
    pair = ("a", "walk")
    flagged = replace(table[pair], verdict="dependent_rows", warnings=("rows < depend",))
    changed = replace(table, estimates=table.estimates | {pair: flagged})

    assert repr(changed) == "PairwiseMI(3 columns, 3 pairs, 1 flagged)"
    assert f"{flagged.nats:.3f}!" in str(changed)
    assert "a, walk: dependent_rows: rows < depend" in str(changed)
    accepted = replace(flagged, verdict="ok")
    assert "!" not in str(replace(table, estimates={pair: accepted}))

    html = ElementTree.fromstring(changed._repr_html_())
    words = [element.text for element in html.iter()]

    assert words.count(f"{flagged.nats:.3f}!") == 2
    assert words.count("b & c") == 2

    tips = [element.get("title") for element in html.iter("td")]
    assert tips.count(repr(flagged)) == 2

    plain = json.loads(json.dumps(changed.to_dict(), allow_nan=False))
    assert plain["entropies"] == [None, None, None]
    assert plain["pairs"][1]["x"] == "a"
    assert plain["pairs"][1]["verdict"] == "dependent_rows"


def test_heat_map(table):
    """The heat map marks flagged cells."""
    pytest.importorskip("matplotlib")
    figure = table.plot()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 6
    assert sum("!" in text for text in texts) == int(table.flagged.sum())


def test_progress(capsys):
    pairwise_mi(three_columns(), progress=True, **FAST)
    assert "pairwise_mi" in capsys.readouterr().err


class Twins:
    """A table that has two columns of one name, as pandas allows."""

    columns = ("a", "a")

    def to_numpy(self):
        return np.ones((100, 2))


GOOD = np.random.default_rng(0).normal(size=100)
PAIR = {"a": GOOD, "b": GOOD}
test_bad_tables = refused(
    [
        ("table: expected at least 2 columns, got 1", pairwise_mi, {"a": GOOD}),
        (
            r"table: expected named columns or an array of shape \(n, k\), got shape \(100,\)",
            *(pairwise_mi, GOOD),
        ),
        ("table: expected distinct column names, got 'a' twice", pairwise_mi, Twins()),
        (
            "table: expected distinct column names, got '1' twice",
            pairwise_mi,
            {1: GOOD, "1": GOOD},
        ),
        ("column 'b': expected a column that varies", pairwise_mi, PAIR | {"b": 0 * GOOD}),
        ("column 'b': expected finite", pairwise_mi, PAIR | {"b": GOOD * math.inf}),
        (
            r"column 'b': expected as many rows as 'a' \(100\), got 90",
            *(pairwise_mi, PAIR | {"b": GOOD[:90]}),
        ),
    ]
)


@pytest.mark.parametrize(
    ("message", "settings"),
    [
        (r"discrete: expected names of columns \(a, b, ab\), got \['c'\]", {"discrete": ["c"]}),
        ("discrete: expected names of columns", {"discrete": "ab"}),
        ("steps: expected an integer", {"steps": 0}),
        (r"columns 'a' \(x\) and 'b' \(y\): groups: expected", {"groups": [1]}),
    ],
)
def test_bad_settings(message, settings):
    with pytest.raises(ValueError, match=message):
        pairwise_mi(PAIR | {"ab": GOOD}, **settings)


def test_unknown_settings(table):
    with pytest.raises(
        TypeError, match=r"pairwise_mi\(\) got an unexpected keyword argument 'stpes'"
    ):
        pairwise_mi(PAIR, stpes=3)
    with pytest.raises(KeyError, match="expected two different names of a, b & c, walk"):
        table["a", "a"]
