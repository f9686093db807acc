"""Marginal transforms: what they keep, what they merge, and the columns that would break them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from mi_estimators.estimation.components import Components, Screened, telling_columns
from mi_estimators.estimation.sides import fit_side
from mi_estimators.estimation.transforms import (
    TRANSFORMS,
    Both,
    Identity,
    OneScale,
    Rank,
    Robust,
    Shaped,
    Standard,
)
from tests.mi_estimators.shared import seeded

transforms = pytest.mark.parametrize("make", TRANSFORMS.values(), ids=TRANSFORMS)


def column(*values):
    return torch.tensor(values)[:, None]


def near(mapped, expected):
    """Compare what is mapped in float32 with what it should be."""
    assert_close(mapped.double(), expected, atol=1e-6, rtol=1e-6)


columns = st.lists(
    st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False), min_size=1, max_size=12
)


# All of them.


@transforms
@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_shapes(make, n):
    """Rows keep their number and columns and become float32."""
    rows = torch.randn(n, 3)
    before = rows.clone()
    transform = make(rows)

    assert torch.equal(rows, before)
    assert transform(torch.randn(7, 3)).shape == (7, 9 if make is Both else 3)
    assert transform(rows).dtype == torch.float32
    assert transform(rows).isfinite().all()
    assert not list(transform.parameters())


@transforms
def test_single_columns(make):
    """Columns and rows are treated one by one."""
    rows = torch.randn(20, 3).exp()
    fresh = torch.randn(9, 3)
    whole = make(rows)(fresh)
    for k in range(0 if make is OneScale else 3):
        alone = make(rows[:, k : k + 1])(fresh[:, k : k + 1])
        assert_close(alone, whole[:, k::3])

    assert_close(
        make(rows)(fresh[3:5]),
        whole[3:5],
    )
    assert_close(make(rows[torch.randperm(20)])(fresh), whole)


@transforms
@given(values=columns)
def test_monotone(make, values):
    """Transforms are non-decreasing and never NaN."""
    rows = column(*sorted(values))
    single = rows.float()
    if make is Identity and (
        not single.isfinite().all() or (len(single.unique()) == 1 < len(rows.unique()))
    ):
        with pytest.raises(ValueError, match="transform: expected columns that float32 can hold"):
            make(rows)
        return

    mapped = make(rows)(rows)
    assert not mapped.isnan().any()
    assert (mapped.diff(dim=0) >= 0).all()
    assert mapped.isfinite().all()


@transforms
def test_state(make):
    """What transforms learned is in the state, and moves with the module."""
    rows, fresh = torch.randn(30, 2), torch.randn(5, 2)
    transform, other = make(rows), make(torch.randn(30, 2))
    other.load_state_dict(transform.state_dict())

    assert torch.equal(other(fresh), transform(fresh))

    moved = transform.to("meta")
    assert all(buffer.device.type == "meta" for buffer in moved.buffers())
    assert bool(moved.state_dict()) == (make is not Identity)


def test_none():
    rows = torch.randn(4, 2).float()
    assert torch.equal(Identity(torch.zeros(1, 2))(rows), rows)
    assert torch.equal(Identity(rows)(rows.double()), rows)


# Standard.


def test_standard():
    """`Standard` has mean zero and deviation one."""
    rows = torch.randn(50, 3) * torch.tensor([1.0, 1e3, 1e-6]) + 5
    mapped = Standard(rows)(rows).double()
    assert_close(
        mapped.mean(0),
        torch.zeros(3),
        atol=1e-6,
        rtol=0,
    )
    assert_close(
        mapped.std(0, correction=0),
        torch.ones(3),
        atol=1e-6,
        rtol=0,
    )


@pytest.mark.parametrize("size", [1e-300, 1e200, 1e300, 1e308])
def test_standard_overflow(size):
    # Sums and squares of these would overflow.
    rows = torch.cat([torch.ones(60, 1), -torch.ones(40, 1)])
    assert_close(
        Standard(size * rows)(size * rows),
        Standard(rows)(rows),
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1, -1e300])
def test_standard_constant(value):
    """`Standard` sends a column that is constant in its rows to zero everywhere."""
    transform = Standard(torch.full((7, 1), value))
    assert not transform(column(value, 0.0, value + 1, -1e300)).any()


# Rank.


def test_rank_discrete():
    """`Rank` of a discrete column is injective on its values."""
    rows = torch.randint(4, (200, 1)).double()
    mapped = Rank(rows)(rows)

    assert len(mapped.unique()) == 4

    for value in range(4):
        below = (rows < value).double().mean()
        at = (rows == value).double().mean()
        near(Rank(rows)(column(float(value))).squeeze(), torch.special.ndtri(below + at / 2))


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ((5.0,), (0.5,)),
        ((5.0, 7.0), (0.25, 0.75)),
        ((5.0, 5.0), (0.5, 0.5)),
        ((3.0, -1.0, 8.0, 8.0, 8.0), (0.3, 0.1, 0.7, 0.7, 0.7)),  # ranks 2, 1, a tie of 3, 4 and 5
    ],
)
def test_rank(values, levels):
    """`Rank` gives normal scores of mid-ranks."""
    near(Rank(column(*values))(column(*values)), torch.special.ndtri(column(*levels)))


@pytest.mark.parametrize("n", [1, 2, 9])
def test_rank_constant(n):
    """`Rank` of a constant column is zero everywhere."""
    assert not Rank(torch.full((n, 1), 2.5))(column(-1e300, 2.5, 2.6, 1e300)).any()


@given(values=columns)
def test_rank_invariance(values):
    """`Rank` does not change under increasing maps of the training rows."""
    rows = column(*values)
    # An increasing function of the column: its upper rank.
    order = (rows <= rows.T).sum(0).double()[:, None]

    for mapped in (
        order,
        order**3,
        order.exp(),
        -1 / order,
        1e300 * order / len(rows),
        5e-324 * order,
    ):
        assert torch.equal(Rank(mapped)(mapped), Rank(rows)(rows))

    assert_close(
        Rank(-rows)(-rows),
        -Rank(rows)(rows),
    )


def test_rank_knots():
    """`Rank` is linear between knots and constant beyond."""
    rows = column(0.0, 1.0, 1.0, 4.0)
    low, mid, high = torch.special.ndtri(torch.tensor([1 / 8, 1 / 2, 7 / 8]))
    t = torch.linspace(0, 1, 9)[:, None]

    near(Rank(rows)(t), low + t * (mid - low))
    near(Rank(rows)(1 + 3 * t), mid + t * (high - mid))

    far = column(-math.inf, -1e308, -1e-300, 4.001, 1e308, math.inf)
    near(Rank(rows)(far).squeeze(), torch.stack([low, low, low, high, high, high]))


def test_rank_extremes():
    """`Rank` bears knots as far apart as float64 goes."""
    rows = column(-1.7e308, 0.0, 1.7e308)
    values = column(-1.7e308, -0.85e308, 0.0, 0.85e308, 1.7e308)
    mapped = Rank(rows)(values).squeeze()
    top = torch.special.ndtri(torch.tensor(5 / 6))
    expected = torch.tensor([-1, -0.5, 0, 0.5, 1]) * top

    near(mapped, expected)

    wide = column(-1.7e308, 1.7e308)  # the width itself overflows
    assert Rank(wide)(column(-1e308, 1e308)).isfinite().all()
    assert_close(
        Rank(wide)(column(0.0)),
        torch.zeros(1, 1).float(),
    )


# Robust, both, components, and rows in their own shape.


def test_robust():
    """`Robust` is linear in the middle and logarithmic far out."""
    rows = torch.linspace(-1, 1, 101)[:, None]
    scale = 1.0 / 1.35  # half of the rows lie within ½ of the middle
    far = column(0.0, 0.1, 1e6)

    near(Robust(rows)(far), torch.asinh(far / scale))

    mostly_zero = torch.cat([torch.zeros(90, 1), torch.ones(10, 1)])
    assert Robust(mostly_zero)(mostly_zero).unique().numel() == 2


def test_both():
    """`Both` puts scores first, and what is for anchors last."""
    rows = torch.randn(50, 2)
    mapped = Both(rows)(rows)
    parts = Rank(rows)(rows), Robust(rows)(rows), Standard(rows)(rows)

    assert torch.equal(mapped, torch.cat(parts, 1))
    assert Both(rows).aside == 2
    assert Both(rows[:, :1], waves=True)(rows[:, :1]).shape == (50, 1 + 1 + 8 + 1)


def test_components():
    """Components keep distances and say what they hold."""
    turn = torch.linalg.qr(torch.randn(40, 40))[0][:3]
    rows = torch.randn(200, 3) @ turn + 7
    components = Components(rows)

    assert components.held == pytest.approx(1, abs=1e-4)

    after = torch.cdist(components(rows), components(rows))
    before = torch.cdist(rows, rows)
    far = after / before.float()
    near = far[~torch.eye(200, dtype=torch.bool)]

    assert near.max() / near.min() < 1.001


@pytest.mark.parametrize("function", [torch.neg, torch.abs, torch.exp], ids=["neg", "abs", "exp"])
def test_screened(function):
    """The columns that tell of the other side are picked."""
    rows = torch.randn(1000, 400, generator=seeded())
    columns, telling = telling_columns(rows, function(rows[:, [7, 300]]))
    assert set(columns[telling].tolist()) == {7, 300}


@given(seed=st.integers(0, 2**31 - 1))
def test_screened_noise(seed):
    """Columns that tell nothing of the other side are no scores."""
    generator = seeded(seed)
    rows, other = (torch.randn(200, dim, generator=generator) for dim in (300, 2))
    screened = Screened(rows, other, count=4)

    assert int(screened.telling.sum()) <= 1  # one in a hundred draws has one
    assert not screened(rows)[:, :64][:, ~screened.telling].any()
    assert torch.equal(screened(rows)[:, 64:], Components(rows, 4)(rows))


def test_shaped():
    """Shaped rows get back the entries that do not vary."""
    pictures = torch.randn(80, 1, 2, 3, dtype=torch.float64)
    pictures[:, :, 0, 1] = 5.0
    side, rows = fit_side("x", pictures)
    mapped = Shaped(rows, side)(rows)

    assert mapped.shape == (80, 1, 2, 3)
    assert not mapped[:, :, 0, 1].any()
    assert_close(
        mapped.flatten(1)[:, side.kept],
        OneScale(rows)(rows),
    )
