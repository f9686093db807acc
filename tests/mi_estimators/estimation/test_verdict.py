"""Interval, verdict and report: what is said of estimates that are right, and of those that are not."""

import dataclasses
import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation.reasons import Case, reasons_of_value
from tests.mi_estimators.shared import sample, seeded

FAST = dict(steps=60, hidden=16, batch_size=128, folds=2)


def test_learning_curve():
    """The interval reaches as far as the learning curve."""
    law = mi.laws.TASKS["spiral-multinormal-sparse-3-3-2-2.0"]
    estimator = mi.MIEstimator(steps=150, folds=2, seed=3).fit(*sample(law, 1000))
    estimate = estimator.estimate_
    missing = estimate.diagnostics["learning_shortfall"]

    assert missing > 0.1

    held = estimate.diagnostics["held_out"]
    assert estimate.interval[1] >= held + 1.96 * estimate.stderr + missing - 1e-12
    assert estimate.interval[0] < law.mutual_information
    assert (
        estimator.estimate(*sample(law, 500, seed=1)).diagnostics["learning_shortfall"] == missing
    )


SHORTFALLS = [
    ("ok", 1.0, 0.01, 0.2, 0.0),
    ("overfit", 0.5, 0.03, 0.31, 0.0),  # 0.3 nats are missing, of whatever value
    ("overfit", 0.6, 0.03, 0.21, 0.0),  # more than a third of the value
    ("ok", 0.6, 0.04, 0.21, 0.0),  # the same, within noise
    ("ok", 0.01, 0.001, 0.04, 0.0),  # too little to speak of
    ("unfinished", 1.0, 0.01, 0.0, 0.13),
    ("ok", 1.0, 0.01, 0.0, 0.11),
    ("ok", 0.01, 0.001, 0.0, 0.009),
    ("overfit", 1.0, 0.01, 0.4, 0.2),  # more steps would not help
]


@pytest.mark.parametrize(("verdict", "nats", "stderr", "of_rows", "of_steps"), SHORTFALLS)
def test_shortfalls(verdict, nats, stderr, of_rows, of_steps):
    """A value says what is missing of it: for want of rows, or of steps."""
    diagnostics = {
        **{"effective_sample_size": 1e3, "negatives": 1e5, "candidates": 32, "train_gap": 0.0},
        **{"fold_spread": 0.0, "critics": nats, "columns": 6},
        **{"learning_shortfall": of_rows, "step_shortfall": of_steps},
    }
    case = Case(
        row=mi.ESTIMATORS["js"],
        nats=nats,
        stderr=stderr,
        expert="network",
        readouts={"plug_in": nats, "bridge": nats, "dv": nats},
        diagnostics=diagnostics,
        finite=True,
        closed_form=False,
    )
    assert next(iter(reasons_of_value(case)), "ok") == verdict

    above = dataclasses.replace(
        case, expert="neighbours", diagnostics=diagnostics | {"critics": nats - of_steps - 0.001}
    )
    tables = dataclasses.replace(case, expert="counts")
    neighbours = dataclasses.replace(case, diagnostics=diagnostics | {"columns": 2, "ksg": nats})
    for confirmed in (above, tables, neighbours):
        assert "unfinished" not in reasons_of_value(confirmed)


def test_one_of_many():
    """One column among very many is found."""
    generator = seeded()
    x = torch.randn(1000, 400, generator=generator)
    y = 0.8 * x[:, 9] + 0.6 * torch.randn(1000, generator=generator)
    estimator = mi.MIEstimator(**FAST).fit(x, y)

    assert estimator.estimate_.nats == pytest.approx(-math.log(0.6), abs=0.12)

    fresh = estimator.estimate(x.flip(0), y.flip(0))  # the order of rows tells nothing
    assert fresh.nats == pytest.approx(estimator.estimate(x, y).nats, abs=1e-6)


VERDICTS = [
    ("ok", mi.laws.Gaussian(0.6, 2), 1000, {}),
    ("overfit", mi.laws.TASKS["multinormal-20-2nats"], 300, {}),
    ("ceiling", mi.laws.TASKS["multinormal-20-10nats"], 1000, {"estimator": "infonce"}),
    ("low_ess", mi.laws.TASKS["multinormal-20-10nats"], 1000, {"estimator": "js_dv"}),
    (
        "drift",
        mi.laws.Gaussian.with_information(5.0, 4),
        400,
        {"learning_rate": 1e30, "anchor": "none"},
    ),
]


@pytest.mark.parametrize(
    ("verdict", "law", "rows", "settings"), VERDICTS, ids=[case[0] for case in VERDICTS]
)
def test_verdicts(verdict, law, rows, settings):
    estimate = mi.estimate_mi(*sample(law, rows), **FAST | settings)
    assert estimate.verdict == verdict
    assert (len(estimate.warnings) == 0) == (verdict == "ok")
    assert f"verdict: {verdict}" in str(estimate)

    if verdict == "ok":
        assert abs(estimate.nats - law.mutual_information) < 0.1


def test_nothing_found():
    estimate = mi.estimate_mi(*sample(mi.laws.Gaussian(0.0, 3), 300), **FAST)
    assert estimate.verdict == "nothing_found"
    assert "no evidence of independence" in str(estimate)


@pytest.mark.parametrize("seed", range(2))
def test_random_walks(seed):
    """Independent random walks are no information."""
    steps = torch.randn(500, 2, generator=seeded(seed))
    x, y = steps.cumsum(0).T
    estimate = mi.estimate_mi(x, y, **FAST)

    assert estimate.verdict == "dependent_rows"
    assert "groups=" in estimate.warnings[0]
    assert mi.estimate_mi(x, y, groups=25, folds=2, steps=20).verdict != "dependent_rows"


def test_sorted_rows():
    """Sorted rows are not taken for dependent."""
    x, y = sample(mi.laws.Gaussian(0.8), 500)
    order = x[:, 0].argsort()
    estimate = mi.estimate_mi(x[order], y[order], **FAST)
    assert estimate.verdict == mi.estimate_mi(x, y, **FAST).verdict
    assert any("sorted by x" in text for text in estimate.warnings)


def test_repeated_rows():
    """Copies of rows are counted."""
    rows = torch.randn(100, 2)
    drawn = torch.randint(100, (600,))
    estimate = mi.estimate_mi(*rows[drawn].T, **FAST)
    assert estimate.verdict == "repeated_rows"
    assert f"{600 - len(drawn.unique())} of 600 rows" in estimate.warnings[0]


def wave(x, e):
    return (2 * x).sin()


def half_equal(x, e):
    return torch.where(torch.arange(len(x))[:, None] % 2 == 0, x, e)


@pytest.mark.parametrize(("name", "word"), [(wave, "function"), (half_equal, "digit by digit")])
def test_infinite_information(name, word):
    """A function without noise, and numbers that stand on both sides, have no upper end."""
    x, e = (torch.randn(600, 1, generator=seeded(s), dtype=torch.float64) for s in (0, 1))
    estimate = mi.estimate_mi(x, name(x, e), **FAST)
    assert estimate.verdict == "ceiling"
    assert estimate.interval[1] == math.inf
    assert word in estimate.warnings[0]


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_columns_with_a_limit(scale):
    """Rows at a limit are neither copies nor labels: of censored pairs critics read what is left."""
    x, e = (torch.randn(1500, 1, generator=seeded(s), dtype=torch.float64) for s in (0, 1))
    sides = [(scale * side).clamp(min=1.1 * scale) for side in (x, 0.9 * x + 0.19**0.5 * e)]
    estimate = mi.estimate_mi(*sides, **FAST)
    assert "repeated_rows" not in estimate.verdict
    assert estimate.expert in ("network", "copula", "neighbours")
    assert estimate.interval[0] < 0.2 < estimate.interval[1]


def test_weak_evidence():
    """Nothing found is no evidence of independence.

    A saw-tooth of 64 teeth beside two idle columns.
    """
    x = torch.rand(1000, 3)
    estimate = mi.estimate_mi(
        x,
        (64 * x[:, :1]) % 1,
        **FAST,
    )
    assert estimate.verdict == "nothing_found"
    assert "permutation_test" in estimate.warnings[0]


def test_full_counts():
    """Full tables of counts need no critic.

    Parity of eight bits, which no critic of few steps learns.
    """
    bits = torch.randint(2, (3000, 8), generator=seeded()).double()
    estimate = mi.estimate_mi(bits, bits.sum(1) % 2, **FAST)
    assert (estimate.verdict, estimate.expert) == ("ok", "counts")
    assert estimate.nats == pytest.approx(math.log(2), abs=0.01)


@pytest.mark.parametrize("kinds", [2, 10])
def test_entropy_ceiling(kinds):
    """Labels tell at most their entropy."""
    label = torch.arange(1000) % kinds
    value = torch.randn(1000) + 100 * label
    estimate = mi.estimate_mi(value, label, discrete="y", **FAST)
    entropy = math.log(kinds) + (kinds - 1) / 2000

    assert estimate.nats <= entropy
    assert estimate.interval[1] <= entropy + 1e-9


@pytest.mark.parametrize("name", ["spiral-multinormal-sparse-5-5-2-2.0", "spiral-normal-2-2-0.75"])
def test_anchor_misfit(name):
    """A copula that the rows contradict is not "ok"."""
    law = mi.laws.TASKS[name]
    estimate = mi.estimate_mi(*sample(law, 2000), **FAST)
    assert estimate.nats < 0.8 * law.mutual_information
    assert estimate.verdict != "ok"


@pytest.mark.parametrize(
    "name", ["multinormal-20-5nats", "student-identity-5-5-2", "cubic-multinormal-20-5nats"]
)
def test_fitting_anchor(name):
    """A copula that fits is not contradicted."""
    estimate = mi.estimate_mi(*sample(mi.laws.TASKS[name], 2000), **FAST)
    assert estimate.diagnostics["anchor_misfit"] < 6


def experts_tried():
    generator = seeded()
    x = torch.rand(600, 1, generator=generator)
    label = (4 * x).floor()
    noise = torch.randn(600, 1, generator=generator)
    waves = (30 * x).sin() + 0.02 * noise

    return {
        "copula": mi.laws.Gaussian(0.8).sample(600, generator),
        "additive": (x, x + 0.1 * torch.rand(600, 1, generator=generator)),
        "classifier": (x + 0.2 * torch.randn(600, 1, generator=generator), label),
        "counts": (label, (label + (torch.rand(600, 1, generator=generator) < 0.3)) % 4),
        "neighbours": (x, waves),
    }


@pytest.mark.parametrize(("expert", "rows"), experts_tried().items())
def test_experts(expert, rows):
    """The expert that fits the rows carries the value."""
    estimate = mi.estimate_mi(*rows, **FAST)
    assert estimate.expert == expert
    assert expert in mi.estimation.EXPERTS
    assert f"expert: {expert}" in str(estimate)


@pytest.mark.parametrize("estimator", ["js_dv", "nwj", "infonce", "anchored_dv"])
def test_bounds(estimator):
    """A bound is carried by its critics alone."""
    estimate = mi.estimate_mi(*experts_tried()["neighbours"], estimator, **FAST)
    assert estimate.expert in ("network", "copula")
    assert estimate.nats == estimate.diagnostics["held_out"]
    assert estimate.interval[1] >= estimate.diagnostics["ksg"]


@pytest.mark.parametrize("nats", [5.0, pytest.param(2.0, marks=pytest.mark.broad)])
@pytest.mark.parametrize("estimator", ["smile", "relative"])
def test_no_bound(nats, estimator):
    """What reads another value from the log-ratio of these rows than they have says so, and what to use."""
    law = mi.laws.Gaussian(math.sqrt(-math.expm1(-nats)), dim=2)
    estimate = mi.estimate_mi(*sample(law, 3000), estimator, seed=0)
    apart = abs(estimate.nats - law.mutual_information)

    assert estimate.verdict == "ok" if apart < 0.2 else estimate.verdict == "disagreement"
    assert apart < 0.2 or any('Use estimator="js"' in text for text in estimate.warnings)


def test_late_gain():
    """Training that ends while it gains is said: by the verdict where much is missing, else by a note.

    A product of two columns, which a few steps do not learn.
    """
    generator = seeded()
    x = torch.randn(2000, 4, generator=generator)
    y = x[:, :1] * x[:, 1:2] + 0.3 * torch.randn(2000, 1, generator=generator)
    few, more = (mi.estimate_mi(x, y, steps=steps, folds=2) for steps in (200, 400))

    assert few.verdict == "unfinished"
    assert any("still gained" in text and "thorough" in text for text in few.warnings)
    assert more.nats > few.nats

    missing = few.diagnostics["step_shortfall"]
    assert missing > 0.05

    held = few.diagnostics["held_out"]
    assert few.interval[1] >= held + 1.96 * few.stderr + missing - 1e-12


class Contrary(torch.nn.Module):
    """A critic without parameters that takes dependence for its contrary."""

    def forward(self, x, y):
        return -x @ y.mT


def test_negative_value():
    """A value far below zero is reported where no neighbours were read."""
    rows = sample(mi.laws.Gaussian(0.6), 3000)
    critic = dict(critic=Contrary(), anchor="none", groups=2)
    estimate = mi.estimate_mi(*rows, "nwj", **critic, **FAST)
    assert estimate.nats < -0.35
    assert "ksg" not in estimate.diagnostics


@pytest.mark.parametrize(
    ("fitted", "fresh", "verdict"),
    [(0.5, 0.9, "drift"), (0.9, 0.5, "drift"), (0.0, 0.8, "disagreement"), (0.9, 0.9, "ok")],
)
def test_rows_of_another_law(fitted, fresh, verdict):
    """Critics say so where fresh rows are not of the law that they were fitted on."""
    model = mi.MIEstimator(effort="fast", folds=2).fit(*sample(mi.laws.Gaussian(fitted), 4000))
    law = mi.laws.Gaussian(fresh)
    estimate = model.estimate(*sample(law, 4000, seed=1))
    assert estimate.verdict == verdict

    low, high = estimate.interval
    assert (low <= law.mutual_information <= high) or verdict != "ok"


def test_fresh_series():
    """Fresh rows that depend on one another take the groups that the warning asks for."""
    model = mi.MIEstimator(**FAST).fit(*sample(mi.laws.Gaussian(0.8), 500))
    x, y = torch.randn(500, 2, generator=seeded(3)).cumsum(0).T
    assert model.estimate(x, y).verdict == "dependent_rows"
    assert model.estimate(x, y, groups=25).verdict != "dependent_rows"
    assert model.estimate(x, y, groups=25).stderr > model.estimate(x, y).stderr
