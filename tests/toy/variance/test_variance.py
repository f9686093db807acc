"""Noise of the bounds: exact values over all batches, closed forms, floors and bounds."""

import dataclasses
import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.display.files import strict
from mi_estimators.display.page import Page
from mi_estimators.laws import Gaussian
from toy.models.two_level import BOUNDS, TwoLevel
from toy.rows import identity
from toy.variance import page as variance_page
from toy.variance import run as variance
from toy.variance import training as variance_training
from toy.variance.run import QUICK, RUNS, ExactNoise, GaussianNoise

EXACT = ExactNoise(symbols=(2, 16, 256), copy=0.9, batches=(8, 32, 128))


@pytest.fixture(scope="module")
def exact():
    return variance.exact_noise(EXACT, 0)


def test_nwj_variance_and_trace_are_the_closed_forms_at_every_batch(exact):
    measured, said = exact
    for key, line in (("variance", "nwj"), ("trace", "nwj_trace")):
        for row, expected in zip(measured[key]["nwj"], said[line], strict=True):
            assert [v * n for v, n in zip(row, EXACT.batches, strict=True)] == pytest.approx(
                [expected] * 3, rel=1e-8
            )


def test_unbiased_bounds_have_no_bias_and_dv_overstates_and_infonce_understates(exact):
    measured, said = exact
    for k, nats in enumerate(said["nats"]):
        assert measured["bias"]["nwj"][k] == pytest.approx([0] * 3, abs=1e-9)
        assert min(measured["bias"]["dv"][k]) > 0 > max(measured["bias"]["infonce"][k])
        for n, bias in zip(EXACT.batches, measured["bias"]["infonce"][k], strict=True):
            assert nats + bias <= math.log(n + 1)
        assert measured["bias"]["dv"][k] == sorted(measured["bias"]["dv"][k], reverse=True)


def test_nwj_lies_above_the_floor_and_js_below_its_bounds(exact):
    measured, said = exact
    for k, nats in enumerate(said["nats"]):
        assert said["chi2"][k] >= math.expm1(nats)
        for n, value, trace in zip(
            EXACT.batches, measured["variance"]["js"][k], measured["trace"]["js"][k], strict=True
        ):
            assert n * value <= said["js"]
            assert n * trace <= said["js_trace"]


def test_the_floor_is_met_where_the_ratio_is_one_number_on_p():
    law = TwoLevel(32, 1 - 1e-9)
    assert law.chi2 == pytest.approx(math.expm1(law.mutual_information), rel=1e-6)


def test_large_batches_meet_the_limits_of_dv_and_the_relative_law():
    law = TwoLevel(4, 0.6)
    for bound, line in (
        ("dv", variance._spread(law.log_ratio, law.log_p) + law.chi2),
        ("relative", variance._relative(law, 0.9)),
    ):
        _, value, *_ = variance.enumerated(bound, law, 1.0, 1024, 0.9)
        assert 1024 * value == pytest.approx(line, rel=0.02)


def test_the_constant_of_the_js_bound():
    t = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    most = float((torch.nn.functional.softplus(t).square() * (-t).exp()).max())
    assert pytest.approx(most, abs=2e-6) == variance.JS_VALUE_BOUND / 2
    assert most <= variance.JS_VALUE_BOUND / 2


@pytest.mark.parametrize("bound", ["nwj", "js"])
def test_half_trained_signal_to_noise_grows_like_the_root_of_the_batch(exact, bound):
    for row in exact[0]["snr"][bound]:
        assert [v / n**0.5 for v, n in zip(row, EXACT.batches, strict=True)] == pytest.approx(
            [row[0] / 8**0.5] * 3
        )


def test_gaussian_noise_with_light_tails_meets_its_lines():
    measured, said = variance.gaussian_noise(
        GaussianNoise(nats=(0.25,), batches=(16, 64), repeats=2000), 0
    )
    for k, n in enumerate((16, 64)):
        assert n * measured["variance"]["nwj"][0][k] == pytest.approx(said["nwj"][0], rel=0.15)
        assert n * measured["trace"]["nwj"][0][k] == pytest.approx(said["nwj_trace"][0], rel=0.15)
        assert n * measured["variance"]["js"][0][k] <= said["js"]
        assert n * measured["trace"]["js"][0][k] <= said["js_trace"][0]
    for bound in BOUNDS:
        slope, half = measured["variance_slope"][bound][0]
        assert abs(slope + 1) < half + 0.15


def test_in_batch_variance_of_nwj():
    law, n = Gaussian.with_information(0.25, 4), 6
    x, y = (
        rows.view(-1, n, 4).double()
        for rows in law.sample(20_000 * n, torch.Generator().manual_seed(0))
    )
    scores = law.log_ratio(x.unsqueeze(-2), y.unsqueeze(-3))
    values = mi.nwj(*mi.joint_and_product(scores))
    assert float(values.var()) == pytest.approx(
        theory.nwj_in_batch_variance(law.rho, law.dim, n), rel=0.05
    )
    with pytest.raises(ValueError, match="batch: expected"):
        theory.nwj_in_batch_variance(law.rho, law.dim, 1)


def test_the_trained_family_holds_the_log_ratio():
    law = Gaussian(0.5, 3)
    critic = variance_training.Quadratic()
    rest = 1 - law.rho**2
    slope = -(law.rho**2) / (2 * rest)
    theta = [
        law.mutual_information + 6 * slope,
        3**0.5 * law.rho / rest,
        3**0.5 * slope,
        3**0.5 * slope,
    ]
    critic.theta.data = torch.tensor(theta)
    x, y = law.sample(5, torch.Generator().manual_seed(0))
    assert torch.allclose(critic(x, y), law.log_ratio(x.unsqueeze(-2), y.unsqueeze(-3)), atol=1e-5)


def test_the_quick_suite_runs_and_every_figure_has_its_caption():
    rows = []
    for spec in (QUICK[0], dataclasses.replace(QUICK[1], repeats=20), QUICK[2]):
        measured, said = RUNS[type(spec)](spec, 0)
        rows.append(
            identity("variance", spec, "quick", 0)
            | {"measured": strict(measured), "theory": strict(said)}
        )
    value = rows[2]["measured"]["value"]
    assert value["js"][0] == value["nwj"][0] == 0 < value["js"][-1] < value["nwj"][-1]
    variance_page.section(page := Page("test"), rows)
    assert list(page.figures) == [
        "noise_exact",
        "noise_gaussian",
        "noise_scaling",
        "noise_training",
    ]
    assert "".join(page.parts).count("<figcaption>") == 4
    variance_page.section(empty := Page("test"), [])
    assert not empty.parts
