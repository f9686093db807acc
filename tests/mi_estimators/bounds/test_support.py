"""What stands where a law has no mass does not count: value and gradient are those without the entry."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators.bounds import bridge, interpolated
from mi_estimators.bounds.relative import relative
from tests.mi_estimators.shared import seeded

ANYTHING = st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, 1e4, 0.0])

PAIRS = {
    **mi.BOUNDS,
    **{f"relative {name}": relative(bound, 0.3) for name, bound in mi.BOUNDS.items()},
    "smile": lambda *args: mi.smile(*args[:2], 1.0, *args[2:]),
    "mine": lambda joint, product, log_p, log_q: mi.mine(
        joint, product, torch.tensor(0.3), 0.9, log_p, log_q
    )[0],
    "logistic": lambda *args: mi.bounds.logistic(*args[:2], 3.0, *args[2:]),
    "plug_in": mi.bounds.plug_in,
    "club": mi.bounds.club,
    "jsd_certificate": mi.bounds.jsd_certificate,
    "bridge": lambda *args: bridge(*args, log_odds=0.2),
    "mean": lambda joint, product, log_p, log_q: mi.mean(joint, log_p) - mi.mean(product, log_q),
    "log_mean_exp": lambda joint, product, log_p, log_q: (
        mi.log_mean_exp(joint, log_p) - mi.log_mean_exp(product, log_q)
    ),
    "starvation_index": lambda joint, product, log_p, log_q: mi.starvation_index(product, log_q),
}
MATRICES = {
    "infonce": mi.infonce,
    "interpolated": lambda scores, weights: interpolated(scores, 0.4, log_weights=weights),
    "nwj end": lambda scores, weights: interpolated(scores, 0.0, log_weights=weights),
}


def gradient(function, *leaves):
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    value = function(*leaves)
    return value, torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)


@given(
    places=st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True),
    filling=st.lists(ANYTHING, min_size=1, max_size=3),
    seed=st.integers(0, 10**6),
)
@pytest.mark.parametrize("name", PAIRS)
def test_massless_entries(name, places, filling, seed):
    """Entries without mass do not exist."""
    generator = seeded(seed)
    joint, product, log_p, log_q = torch.randn(4, 6, generator=generator)
    function, log_p, log_q = PAIRS[name], log_p.log_softmax(0), log_q.log_softmax(0)
    short, exact = gradient(lambda *scores: function(*scores, log_p, log_q), joint, product)

    old = torch.ones(6 + len(places), dtype=torch.bool)
    old[places] = False
    wide = [torch.empty(len(old)) for _ in range(2)]

    for scores, values in zip(wide, (joint, product), strict=True):
        scores[old] = values
        scores[places] = torch.tensor((filling * 3)[: len(places)])

    weights = [torch.full((len(old),), -math.inf) for _ in range(2)]
    weights[0][old], weights[1][old] = log_p, log_q

    value, gradients = gradient(lambda *scores: function(*scores, *weights), *wide)
    assert_close(value, short)

    for long, expected in zip(gradients, exact, strict=True):
        assert_close(long[old], expected)
        assert (long[~old] == 0).all()


@given(place=st.integers(0, 4), filling=ANYTHING, seed=st.integers(0, 10**6))
@pytest.mark.parametrize("name", MATRICES)
def test_massless_rows(name, place, filling, seed):
    """Rows without mass do not exist."""
    generator = seeded(seed)
    scores = torch.randn(4, 4, generator=generator)
    log_weights = torch.randn(4, generator=generator).log_softmax(0)
    short, (exact,) = gradient(lambda matrix: MATRICES[name](matrix, log_weights), scores)

    old = torch.arange(5) != place
    wide = torch.full((5, 5), filling)
    weights = torch.full((5,), -math.inf)
    wide[old.unsqueeze(1) & old] = scores.flatten()
    weights[old] = log_weights
    value, (long,) = gradient(lambda matrix: MATRICES[name](matrix, weights), wide)

    assert_close(value, short)
    assert_close(long[old][:, old], exact)
    assert long.count_nonzero() <= exact.numel()
    assert long.isfinite().all()


@pytest.mark.parametrize("entry", [math.nan, math.inf])
@pytest.mark.parametrize("name", sorted(set(PAIRS) - {"mean", "log_mean_exp"}))
def test_finite_entries(name, entry):
    """Entries with mass must be finite."""
    scores = torch.tensor([0.0, entry])
    weights = torch.tensor([0.5, 0.5]).log()
    with pytest.raises(ValueError, match="expected finite scores"):
        PAIRS[name](scores, scores, weights, weights)
