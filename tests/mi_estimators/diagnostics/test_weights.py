"""Finite and Gaussian laws, the weights of scores, and their effective sample sizes."""

import math

import numpy as np
import pytest
import torch
from scipy import special
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators.bounds.scores import joint_and_product
from tests.mi_estimators.shared import refused, seeded


@pytest.mark.parametrize("nats", [0.0, 0.5, 2.0, 10.0])
def test_gaussian(nats):
    assert mi.laws.Gaussian.with_information(nats, dim=20).mutual_information == pytest.approx(
        nats, abs=1e-12
    )


def test_enumeration():
    p = np.array([[0.3, 0.0, 0.1], [0.05, 0.35, 0.2]])
    law = mi.laws.Finite(torch.tensor(p).log())
    ratio = p / np.outer(p.sum(1), p.sum(0))

    assert law.mutual_information == pytest.approx(special.xlogy(p, ratio).sum(), abs=1e-14)

    log_ratio = law.log_ratio(torch.tensor([0, 1]), torch.tensor([1, 2]))
    assert log_ratio.tolist() == pytest.approx([-math.inf, math.log(ratio[1, 2])])

    x, y = law.sample(50_000, seeded())
    counts = np.zeros_like(p)
    np.add.at(
        counts,
        (x.numpy(), y.numpy()),
        1 / 50_000,
    )

    np.testing.assert_allclose(counts, p, atol=0.01)


def test_shifted_rows():
    """Effective sample sizes are those of the rows whatever their shift."""
    scores = torch.randn(3, 50)
    sizes = mi.effective_sample_size(scores)
    assert_close(
        sizes,
        torch.stack(list(map(mi.effective_sample_size, scores))),
    )
    assert_close(mi.effective_sample_size(scores + 1e4), sizes)
    assert_close(mi.starvation_index(scores), 1 - sizes / 50)


@pytest.mark.parametrize("bound", [*mi.BOUNDS, "smile"])
def test_no_side_effects(bound):
    """`score_weights` leaves its arguments alone, and works under `no_grad`."""
    joint, product = torch.randn(3), torch.randn(4)
    with torch.no_grad():
        positive, negative = mi.score_weights(bound, joint, product)

    assert positive.shape == joint.shape
    assert negative.shape == product.shape
    assert not joint.requires_grad


def test_split_matrix():
    matrix = torch.randn(2, 6, 6)
    joint, product = joint_and_product(matrix)
    off = ~torch.eye(6, dtype=torch.bool)
    assert torch.equal(joint, torch.stack([m.diagonal() for m in matrix]))
    assert torch.equal(product, torch.stack([m[off] for m in matrix]))


PAIR = torch.zeros(2)
BAD_CALLS = [
    ("bound: expected one of", mi.score_weights, "club", PAIR, PAIR),
    ("product: expected shape", mi.score_weights, "infonce", PAIR, torch.zeros(3)),
    ("joint: expected finite", mi.score_weights, "dv", PAIR + math.nan, PAIR),
    ("scores: expected finite", mi.effective_sample_size, PAIR + math.inf),
    ("scores: expected at least one", mi.starvation_index, torch.zeros(0)),
    ("log_q: expected log-weights", mi.starvation_index, PAIR, PAIR),
]


test_bad_calls = refused(BAD_CALLS)
