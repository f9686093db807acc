"""Flows: what they make of the rows of a side, where they are not worth it, and what an estimate says behind them."""

import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation.flow import Flow, contradiction, fit_flow
from mi_estimators.estimation.forms import Form
from mi_estimators.estimation.packing import read_file, write_file
from mi_estimators.estimation.transforms import Both
from mi_estimators.estimation.views import View
from tests.mi_estimators.shared import sample, seeded

TURN = torch.tensor([[1.0, 1.0, 0.5], [-1.0, 1.0, 0.2], [0.3, -0.4, 1.0]], dtype=torch.float64)

SPIRAL, _ = sample(mi.laws.TASKS["spiral-multinormal-sparse-3-3-2-2.0"], 3000)


def bent(rows):
    """An invertible map that no increasing map of the columns undoes."""
    steep = rows.double() @ TURN
    return torch.asinh(2 * steep + 3 * torch.tanh(2 * steep)) @ TURN.T


def bent_pair(n, nats=1.2):
    law = mi.laws.MultivariateGaussian.sparse(
        3, 3, pairs=3, correlation=math.sqrt(1 - math.exp(-2 * nats / 3))
    )
    return [bent(side) for side in sample(law, n)]


@pytest.fixture(scope="module")
def fitted():
    x, _ = bent_pair(3000)
    return x, fit_flow(x, 300)


def test_normal_behind(fitted):
    """Behind a flow rows are nearer to normal ones, fresh rows too."""
    x, flow = fitted
    fresh = bent(torch.randn(2000, 3, generator=seeded(1)))
    for rows in (x, fresh):
        behind = flow(rows)
        assert contradiction(behind.double()) < contradiction(rows) / 5
        assert (behind.std(0) - 1).abs().max() < 0.1


def test_density(fitted):
    """A flow's density is that of the change of variables: Jacobians by automatic differentiation."""
    x, flow = fitted
    scaled = flow.scaled(x[:20]).double()
    layers = flow.layers.double()

    def through(row):
        for layer in layers:
            row, _ = layer(row[None])
            row = row[0]
        return row

    volume = torch.linalg.slogdet(torch.func.vmap(torch.func.jacrev(through))(scaled))[1]
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(torch.func.vmap(through)(scaled))
    torch.testing.assert_close(flow.log_density(scaled), volume + normal.sum(1))
    layers.float()


@pytest.mark.parametrize(
    "rows",
    [
        torch.randn(3000, 3, generator=seeded()) @ TURN.float(),  # jointly normal
        (torch.randn(3000, 3, generator=seeded()) @ TURN.float()).exp(),  # but for their margins
        bent(torch.randn(3000, 3, generator=seeded()))[:, :1],  # one column
        bent(torch.randn(900, 3, generator=seeded())),  # few rows
        (2 * bent(torch.randn(3000, 3, generator=seeded()))).round(),  # ties
        bent(torch.randn(3000, 3, generator=seeded())).sum(1, keepdim=True).expand(-1, 3),  # copies
        SPIRAL,  # turned by the radius
    ],
    ids=["normal", "margins", "one", "few", "ties", "copies", "spiral"],
)
def test_not_tried(rows, monkeypatch):
    """A flow is not tried where nothing can come of it."""
    monkeypatch.setattr(Flow, "__init__", None)
    assert fit_flow(rows.double(), 300) is None


def test_given_up():
    """Student rows, which no flow of this kind makes normal, are left alone."""
    x, _ = sample(mi.laws.TASKS["student-identity-3-3-2"], 3000)
    assert contradiction(x.double()) > 100
    assert fit_flow(x.double(), 200) is None


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("power", [1, 5])
def test_extremes(scale, power):
    """Outliers and far units raise nothing: a flow is given up, or its rows are finite."""
    one, other = torch.randn(2, 1500, 3, generator=seeded())
    rows = scale * ((one / other) ** power).clamp(-1e90, 1e90).double() @ TURN
    flow = fit_flow(rows, 60)
    assert flow is None or flow(rows).isfinite().all()


def test_deterministic(fitted):
    """The same rows give the same flow, and the global random state stays."""
    x, flow = fitted
    state = torch.get_rng_state()
    again = fit_flow(x, 300)
    assert torch.equal(again(x), flow(x))
    assert torch.equal(torch.get_rng_state(), state)


def test_saved(fitted, tmp_path):
    """A flow is written and read as any other module."""
    x, flow = fitted
    write_file(tmp_path / "flow.npz", flow)
    assert torch.equal(read_file(tmp_path / "flow.npz")(x), flow(x))


@pytest.fixture(scope="module")
def estimated():
    x, y = bent_pair(3000)
    return x, y, mi.MIEstimator(effort="fast").fit(x, y)


def test_estimate(estimated):
    """Behind flows the copula reads what it cannot read before them; the report says so, and fresh rows confirm it."""
    x, y, estimator = estimated
    behind = estimator.estimate_
    before = mi.estimate_mi(x, y, transform="rank", effort="fast")

    assert behind.diagnostics["flows"] == 2
    assert "2 of 2 sides behind a flow" in str(behind)
    assert "flow" not in str(before)
    assert behind.verdict == "anchor_misfit"
    assert "behind a flow" in behind.warnings[0]
    assert behind.interval[1] == math.inf  # no test tells what a flow leaves
    assert behind.nats > before.nats + 0.2
    assert behind.nats < 1.2 + 3 * behind.stderr

    law = mi.laws.MultivariateGaussian.sparse(
        3, 3, pairs=3, correlation=math.sqrt(1 - math.exp(-0.8))
    )
    fresh = [bent(side) for side in sample(law, 2000, seed=5)]
    assert abs(estimator.estimate(*fresh).nats - behind.nats) < 0.1


def test_independent():
    """Flows see one side each: independent sides stay independent behind them."""
    x, y = (bent(torch.randn(2000, 3, generator=seeded(k))) for k in (1, 2))
    estimate = mi.estimate_mi(x, y, effort="fast")
    assert estimate.interval[0] <= 0.0
    assert estimate.nats < 0.02


def test_unfinished():
    """Rows that a flow leaves far from normal contradict the copula behind it, whatever the pairs say."""
    x, _ = bent_pair(2000)
    forms = {Form(margin="rank")}
    for flow, low, high in [(Flow(x), 100, math.inf), (fit_flow(x, 300), 0, 60)]:
        view = View(name="flow", x=Both, y=Both, flows=(flow, None))
        assert low < view.misfit(x, torch.randn(2000, 1), forms) < high
