"""The table of estimators: every row on scores of either form, its kind on exact laws, and its standard error."""

import math

import pytest
import torch
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators.estimation.reading import read
from mi_estimators.estimation.table import infonce_over_rows, over_rows
from tests.mi_estimators.shared import seeded

rows = pytest.mark.parametrize("row", mi.ESTIMATORS.values(), ids=mi.ESTIMATORS)
TABLE = torch.tensor([[4, 1, 1], [1, 1, 2]], dtype=torch.float64)  # counts of 10


def random_law(scale):
    logits = scale * torch.randn(12, generator=seeded(), dtype=torch.float64)
    return mi.laws.Finite(logits.log_softmax(0).view(3, 4))


LAWS = [mi.laws.Finite((TABLE / 10).log()), *map(random_law, (0.3, 1.0, 2.0))]
laws = pytest.mark.parametrize("law", LAWS, ids=lambda law: f"I={law.mutual_information:.2f}")


# `infonce` needs groups.
LOWER = [row for row in mi.ESTIMATORS.values() if row.kind == "lower" and row.name != "infonce"]


def grouped(matrices):
    """Return joint (n,) and product (n, k) of score matrices (groups, k + 1, k + 1)."""
    joint, product = mi.joint_and_product(matrices)
    return joint.flatten(), product.reshape(joint.numel(), -1)


def grouped_log_weights(log_weights):
    """Return log_p (n,) and the pairs' log-weights (n, k) of rows' log-weights (groups, k + 1)."""
    pairs = log_weights.unsqueeze(-1) + log_weights.unsqueeze(-2)
    return log_weights.flatten().log_softmax(-1), grouped(pairs)[1]


def jackknife(row, joint, product):
    """Return the value and its variance as `read` has them, without all else that it reads."""
    log_weights = torch.zeros(
        len(joint) // (product.shape[1] + 1),
        product.shape[1] + 1,
        requires_grad=True,
    )
    value = row.reported(joint, product, *grouped_log_weights(log_weights))
    (influence,) = torch.autograd.grad(value, log_weights)
    return float(value.detach()), float(influence.square().sum())


def exact(row, law, critic):
    """Return what a row reports where every atom is there with its weight."""
    scores = critic.flatten()
    return row.reported(
        scores,
        scores[:, None],
        law.log_joint.flatten(),
        law.log_product.flatten()[:, None],
    )


# Shapes, weights and derivatives.


@rows
@pytest.mark.parametrize(("n", "k"), [(8, 7), (8, 1), (9, 2), (2, 1)])
def test_shapes(row, n, k):
    """Objective and read-out take k negatives to a positive."""
    joint = torch.randn(n).requires_grad_()
    product = torch.randn(n, k).requires_grad_()
    state = None
    for _ in range(3):
        objective, state = row.objective(joint, product, state)
        assert objective.shape == ()
        gradients = torch.autograd.grad(objective, (joint, product))
        assert all(g.isfinite().all() for g in gradients)
        assert gradients[0].sum() > 0 > gradients[1].sum()

    value = row.reported(joint, product)
    assert value.shape == ()
    assert value.isfinite()


@rows
def test_equal_weights(row):
    """Equal weights are no weights."""
    joint, product = grouped(torch.randn(3, 5, 5) + 2 * torch.eye(5))
    value = row.reported(joint, product)
    for shift in (0.0, 7.0, -300.0):  # of the pairs: a common constant means nothing
        log_p = torch.full((15,), -math.log(15))
        assert_close(
            row.reported(joint, product, log_p, torch.full((15, 4), shift)),
            value,
        )

        uneven, pairs = grouped_log_weights(torch.randn(3, 5, generator=seeded(1)))

        assert_close(
            row.reported(joint, product, uneven, pairs + shift),
            row.reported(joint, product, uneven, pairs),
        )


# That of `infonce` is compared below
@pytest.mark.parametrize("name", sorted(set(mi.ESTIMATORS) - {"infonce"}))
def test_copies(name):
    row = mi.ESTIMATORS[name]
    scores = torch.randn(3, 2, 2) + 2 * torch.eye(2)
    copies = torch.tensor([1, 2, 3])
    value = row.reported(*grouped(scores.repeat_interleave(copies, 0)))
    log_p = (copies / 2 / copies.sum()).log().repeat_interleave(2)
    pairs = copies.log().repeat_interleave(2)[:, None]

    assert_close(row.reported(*grouped(scores), log_p, pairs), value)


@rows
def test_derivatives(row):
    """Derivatives in weights are finite differences."""
    joint, product = grouped(torch.randn(2, 4, 4) + 2 * torch.eye(4))

    def value(log_weights):
        return row.reported(joint, product, *grouped_log_weights(log_weights))

    assert torch.autograd.gradcheck(value, (torch.randn(2, 4).requires_grad_(),))


@pytest.mark.parametrize("groups", [1, 3])
def test_infonce_rows(groups):
    """InfoNCE over rows is InfoNCE."""
    scores = torch.randn(groups, 6, 6) + torch.eye(6)
    log_weights = torch.randn(groups, 6)
    assert_close(
        infonce_over_rows(*grouped(scores)),
        mi.infonce(scores).mean(),
    )

    within = mi.infonce(scores, log_weights.log_softmax(-1))
    shares = log_weights.logsumexp(-1).log_softmax(-1)  # of the groups
    expected = mi.mean(within, shares)

    assert_close(infonce_over_rows(*grouped(scores), *grouped_log_weights(log_weights)), expected)


def test_over_rows():
    joint, product = torch.randn(5), torch.randn(5, 3)
    log_p, pairs = torch.randn(5).log_softmax(0), torch.randn(5, 3)
    expected = mi.dv(
        joint,
        product.flatten(),
        log_p,
        pairs.flatten().log_softmax(0),
    )
    assert_close(
        over_rows(mi.dv)(joint, product, log_p, pairs + 9),
        expected,
    )
    assert_close(
        over_rows(mi.dv)(joint, product),
        mi.dv(joint, product.flatten()),
    )


# What each row is, on exact laws.


def test_kinds():
    """The table says one of three kinds and names itself."""
    assert {row.kind for row in mi.ESTIMATORS.values()} <= {"lower", "upper", "neither"}
    assert all(name == row.name for name, row in mi.ESTIMATORS.items())


@pytest.mark.parametrize("row", LOWER, ids=lambda row: row.name)
@laws
def test_lower_rows(row, law):
    """Lower rows never exceed the information."""
    generator = seeded()
    for scale in (0.0, 0.1, 0.5, 2.0):
        for shift in (0.0, 1.0, -1.0):
            noise = scale * torch.randn(law.log_joint.shape, generator=generator)
            assert (
                exact(row, law, law.log_ratio_matrix + noise + shift)
                <= law.mutual_information + 1e-12
            )


@pytest.mark.parametrize(
    "name", ["js", "js_dv", "js_nwj", "js_plug_in", "smile", "dv", "mine", "nwj", "relative"]
)
@laws
def test_tight_rows(name, law):
    """Rows that are tight report the information at the log-ratio."""
    assert law.log_ratio_matrix.abs().max() < 5  # within smile's clip
    value = exact(mi.ESTIMATORS[name], law, law.log_ratio_matrix)
    assert float(value) == pytest.approx(law.mutual_information, abs=1e-9)


def test_other_rows():
    """Rows that are called neither do exceed the information for some critic."""
    law = LAWS[2]
    tilted = law.log_ratio_matrix.clone()
    tilted[law.log_ratio_matrix.flatten().argmax() // 4] += 1.0

    for row in mi.ESTIMATORS.values():
        if row.kind == "neither":
            values = [
                exact(row, law, a * tilted + b) for a in (0.5, 1.0, 3.0, 30.0) for b in (0.0, 9.0)
            ]
            assert max(values) > law.mutual_information + 1e-3, row.name


def test_infonce_average():
    """InfoNCE is at most the information, on average over samples of a law.

    Its expectation over (x, y) from P and y′ from Y's law, all tuples of a table of counts.
    """
    counts = TABLE.long()
    cells = [(i, j) for i in range(2) for j in range(3) for _ in range(counts[i, j])]
    x, y = torch.tensor(cells).T
    others = y.repeat(10)  # the law of y, once to each pair
    x, y = x.repeat_interleave(10), y.repeat_interleave(10)
    ratio = LAWS[0].log_ratio_matrix

    for scale in (0.0, 0.3, 1.0, 3.0):
        for seed in range(4):
            critic = ratio + scale * torch.randn(2, 3, generator=seeded(seed))
            value = infonce_over_rows(critic[x, y], critic[x, others][:, None])
            assert value <= LAWS[0].mutual_information + 1e-12

    assert infonce_over_rows(ratio[x, y], ratio[x, others][:, None]) > 0.03


def test_large_samples():
    """Lower rows are below the information on large samples of a Gaussian."""
    law, generator = mi.laws.Gaussian(0.6), seeded()
    x, y = (values.view(200, 50, 1) for values in law.sample(10_000, generator))
    joint, product = grouped(law.log_ratio(x[:, :, None], y[:, None]))

    for row in mi.ESTIMATORS.values():
        value, variance = jackknife(row, joint, product)
        if row.kind == "lower":
            assert value < law.mutual_information + 3 * math.sqrt(variance), row.name
        if row.name != "js_certificate":  # loose for Gaussians
            assert value == pytest.approx(law.mutual_information, abs=0.04), row.name


# The standard error.


@pytest.mark.parametrize("name", ["dv", "nwj", "js_certificate", "js", "infonce"])
def test_jackknife(name):
    """The infinitesimal jackknife is the spread of repeated samples.

    At the exact critic of 200 rows in groups of 40; "js" is read by `bridge`.
    """
    law, generator = mi.laws.Gaussian(0.6), seeded()
    readings = []
    for _ in range(300):
        x, y = (values.view(5, 40, 1) for values in law.sample(200, generator))
        scores = law.log_ratio(x[:, :, None], y[:, None])
        readings.append(jackknife(mi.ESTIMATORS[name], *grouped(scores)))

    values, variances = torch.tensor(readings).T
    spread = float(variances.mean().sqrt() / values.std())
    assert spread == pytest.approx(1, abs=0.15)


@rows
def test_influence(row):
    """The derivative in a row is what leaving it out does.

    The influence that `read` squares, against reweighting one row of a group.
    """
    law = mi.laws.Gaussian(0.6)
    x, y = law.sample(30, seeded())
    joint, product = grouped(law.log_ratio(x[:, None], y)[None])

    def value(weights):
        return row.reported(joint, product, *grouped_log_weights(weights[None].log()))

    influence = []
    for i in range(30):
        step = torch.zeros(30)
        step[i] = 1e-4
        influence.append((value(1 + step) - value(1 - step)) / 2e-4)

    expected = float(torch.stack(influence).square().sum())
    assert read(row, (joint, product)).variance == pytest.approx(expected, rel=1e-4)
    assert jackknife(row, joint, product)[1] == pytest.approx(expected, rel=1e-4)
