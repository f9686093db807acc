"""Scores of pairs: the diagonal of the score matrix, in O(n)."""

import pytest
import torch

import mi_estimators as mi

FAST = dict(steps=20, hidden=8, batch_size=64, folds=2)
LAW = mi.laws.Gaussian(0.8, 2)


def sample(n, seed=0):
    return LAW.sample(n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("critic", mi.CRITICS)
@pytest.mark.parametrize("anchor", ["copula", "none"])
def test_diagonal(critic, anchor):
    """Pairs are the diagonal."""
    fitted = mi.MIEstimator(critic=critic, anchor=anchor, **FAST).fit(*sample(200))
    for n in (1, 7, 8, 300):
        x, y = sample(n, seed=1)
        scores = fitted.pointwise(x, y)
        assert scores.shape == (n,)
        torch.testing.assert_close(
            scores,
            fitted.score_matrix(x, y).diag(),
            rtol=1e-4,
            atol=1e-5,
        )


class Counting(torch.nn.Module):
    """A user's critic that takes one matrix of rows at a time, and notes how many scores it was asked for."""

    asked: tuple[int, ...] = ()
    pairwise = True

    def __init__(self, dim_x, dim_y):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(dim_x, dim_y))

    def forward(self, x, y):
        scores = x @ self.weight @ y.mT
        Counting.asked = (*Counting.asked, scores.numel())
        return scores


@pytest.mark.parametrize("n", [1000, 4000])
def test_linear_cost(n):
    """Memory and time grow with the number of pairs."""
    fitted = mi.MIEstimator(critic=Counting, anchor="none", **FAST).fit(*sample(200))
    Counting.asked = ()
    fitted.pointwise(*sample(n))
    assert sum(Counting.asked) <= 10 * n * 2  # folds
    assert max(Counting.asked) <= 2**16


def test_unpaired_rows():
    """Rows that do not pair are refused."""
    fitted = mi.MIEstimator(**FAST).fit(*sample(200))
    x, y = sample(50)

    with pytest.raises(ValueError, match=r"y: expected as many rows as x \(50\), got 49"):
        fitted.pointwise(x, y[:-1])
    with pytest.raises(ValueError, match="x: expected rows of shape"):
        fitted.pointwise(y[:, :1], y)
    with pytest.raises(ValueError, match="expected a fitted estimator"):
        mi.MIEstimator().pointwise(x, y)
