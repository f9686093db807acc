"""One formula for every kind of number: floats, arrays, tensors and symbols; what each function refuses."""

import math

import numpy as np
import pytest
import sympy as sp
import torch

from mi_estimators import theory
from mi_estimators.theory import arithmetic

# function: arguments at which its formula is compared, as exact numbers
CASES = {
    "best_of_kl": ("5",),
    "chosen_pull": ("1/3", "1/4"),
    "chosen_term": ("-1/3", "1/4"),
    "coverage_cap": ("2/3", "1/3"),
    "critic_time_dv": ("1/2", "1/64", "2/3"),
    "critic_time_js": ("1/2", "1/64", "2/3"),
    "critic_time_nwj": ("1/2", "1/64", "2/3"),
    "dpo_time": ("5/2", "1/3", "5"),
    "drawn_js_weight": ("1/8", "1/2"),
    "dv_bias": ("3", "7"),
    "dv_bias_factor": ("5/2",),
    "dv_gradient_trace": ("3/5", "2", "4"),
    "escape_constant": ("1/3",),
    "escape_time_dpo": ("1/8", "1/3", "1/2"),
    "escape_time_natural": ("1/8", "1/3"),
    "escape_time_rlhf": ("1/8",),
    "escape_time_sft": ("1/8",),
    "ess_fraction": ("9/16",),
    "freeing_mix": ("1/8", "1/3"),
    "gaussian_chi2": ("2/3",),
    "gaussian_immse": ("3/5", "4"),
    "gaussian_information": ("3/5", "2"),
    "gaussian_log_ratio_variance": ("3/5", "2"),
    "hoeffding_margin": ("2", "50", "1/20"),
    "infonce_ceiling": ("6",),
    "infonce_shortfall": ("9/16", "6"),
    "interpolated_ceiling": ("6", "1/4"),
    "js_gradient_bound": ("3/5", "2", "4"),
    "jsd_shortfall": ("2/3",),
    "lazy_dpo_reward": ("2", "1", "3", "10"),
    "least_negative_variance": ("2/3",),
    "log_odds": ("1/8",),
    "minibatch_dv_threshold": ("1/2", "7"),
    "mio_barrier": ("5/2", "1/2"),
    "mio_ceiling": ("1/64", "1/3", "1/2"),
    "mio_drift": ("-1/3", "1/8", "1/3", "1/4"),
    "mio_target": ("1/64", "1/3", "1/2"),
    "missed_mass": ("1/8", "5"),
    "no_collapse_share": ("3", "4/3", "1/2"),
    "nwj_gradient_trace": ("3/5", "2", "4"),
    "nwj_in_batch_variance": ("3/5", "2", "4"),
    "nwj_value_variance": ("9/25", "9/16", "3", "5"),
    "pass_at_k": ("1/8", "3"),
    "pass_at_k_slope": ("1/8", "3"),
    "preference_anchor": ("1/4",),
    "preference_loss_floor": ("1/4",),
    "rejected_push": ("1/3", "1/4"),
    "rlhf_success": ("1/8", "1/3"),
    "rounds_to_half": ("1/8", "3"),
    "steps_to_first_signal": ("1/8", "5"),
    "two_level_optimum": ("1/2", "1/64"),
    "win_rate_score": ("1/8", "1/4"),
    "zero_gradient_probability": ("1/8", "5"),
}
PLAIN_NUMBERS = {
    "disentanglement_band", "dpo_margin", "escape_time_drawn_js", "escape_time_grpo", "escape_time_mio",
    "escape_time_pass_at_k", "grpo_factor", "interference", "log_odds_at", "minibatch_dv_slope", "mio_deepest_dip",
    "mio_escapes", "mio_rest", "no_collapse_interval", "turning_point",
}  # fmt: skip


def test_all_functions():
    """Every function is compared or takes plain numbers."""
    assert set(CASES) | PLAIN_NUMBERS == set(theory.__all__)
    for name in PLAIN_NUMBERS:
        assert "numbers" in getattr(theory, name).__doc__, f"{name} does not say so"


@pytest.mark.parametrize("name", CASES)
def test_kinds_of_numbers(name):
    """Floats, arrays, tensors and symbols agree."""
    function = getattr(theory, name)
    exact = [sp.Rational(text) for text in CASES[name]]
    symbols = sp.symbols(f"x:{len(exact)}", positive=True)

    expression = function(*symbols)
    assert not expression.has(sp.Float), "a symbol must keep its formula exact"

    value = float(expression.subs(dict(zip(symbols, exact, strict=True))).evalf(30))

    floats = [float(x) for x in exact]
    assert type(function(*floats)) is float
    assert function(*floats) == pytest.approx(value, rel=1e-13)

    array = function(*(np.array([x]) for x in floats))
    assert array.shape == (1,)
    assert array[0] == pytest.approx(value, rel=1e-13)

    inputs = [torch.tensor([x], requires_grad=True) for x in floats]
    tensor = function(*inputs)

    assert tensor.shape == (1,)
    assert tensor.item() == pytest.approx(value, rel=1e-13)

    tensor.backward()
    derivative = expression.diff(symbols[0])
    slope = float(derivative.subs(dict(zip(symbols, exact, strict=True))))

    assert inputs[0].grad.item() == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize("function", [arithmetic.exp, arithmetic.expm1])
def test_overflow(function):
    assert function(1e4) == np.inf


def test_ends():
    """The ends are values and not errors."""
    assert arithmetic.log(0.0) == arithmetic.log1p(-1.0) == -np.inf
    assert arithmetic.x_log_x(0.0) == 0
    assert arithmetic.softplus(1e4) == 1e4
    assert arithmetic.softplus(-1e4) == arithmetic.sigmoid(-1e4) == 0
    assert arithmetic.sigmoid(40.0) == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize(
    "kind", [float, lambda x: np.array([0.5, x]), lambda x: torch.tensor([0.5, x])]
)
@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan")])
def test_entries(kind, wrong):
    with pytest.raises(ValueError, match=r"^mix: expected a number in \(0, 1\], got"):
        theory.preference_anchor(kind(wrong))


# (the argument that is refused, the function, its arguments)
REFUSED = [
    ("bound", "two_level_optimum", 0.5, 0.1, "chi2"),
    ("mass", "two_level_optimum", 1.0, 0.1),
    ("rate", "critic_time_js", 0.5, 0.0, 0.1),
    ("optimum - gap", "critic_time_dv", 0.5, 0.1, 9.0),
    ("gap", "critic_time_nwj", 0.5, 0.1, 0.0),
    ("mass", "minibatch_dv_threshold", 0.0, 8),
    ("negatives", "minibatch_dv_threshold", 0.5, 0),
    ("negatives", "minibatch_dv_slope", 0.0, 0.5, 0.1, 1.5),
    ("reference", "turning_point", [0.5, -0.5], [0.0, 1.0]),
    ("alignment", "turning_point", [0.5, 0.5], [0.0]),
    ("win_rate", "win_rate_score", 1.0, 0.5),
    ("depth", "no_collapse_share", -1.0, 1.2, 0.5),
    ("loss - floor", "no_collapse_share", 1.0, 0.5, 0.5),
    ("beta", "mio_ceiling", 0.1, -1.0),
    ("eps", "mio_target", 1.0, 1.0),
    ("eps", "freeing_mix", 0.0, 1.0),
    ("mix", "chosen_term", 0.0, 0.0),
    ("mix", "preference_loss_floor", 2.0),
    ("mix", "no_collapse_interval", 0.0),
    ("mix", "no_collapse_interval", None),
    ("mix", "preference_loss_floor", True),
    ("mix", "preference_anchor", "half"),
    ("mix", "preference_anchor", 0),
    ("p", "log_odds", 1.0),
    ("eps", "escape_time_rlhf", 0.5),
    ("eps", "escape_time_rlhf", 0.0),
    ("eps", "escape_time_sft", -0.1),
    ("eps", "escape_time_dpo", math.nan, 1.0),
    ("beta", "escape_time_dpo", 0.1, 0.0),
    ("1 - eps - rejected", "escape_time_dpo", 0.1, 1.0, 0.95),
    ("rejected", "escape_time_dpo", 0.1, 1.0, 0.0),
    ("eps", "mio_drift", 0.0, 1.0, 1.0),
    ("mix", "mio_escapes", 0.1, 1.0, 0.0),
    ("mix", "mio_rest", 0.1, 1.0, 1.5),
    ("beta", "escape_time_mio", 0.1, 0.0),
    ("eps", "escape_time_drawn_js", 0.5),
    ("eps", "escape_time_drawn_js", np.array([0.1])),
    ("eps", "mio_rest", np.array([0.1, 0.2]), 1.0),
    ("beta", "escape_time_mio", 0.1, sp.Symbol("beta")),
    ("p", "log_odds", np.array([])),
    ("mix", "chosen_pull", 0.0, 0.0),
    ("mix", "rejected_push", 0.0, 2.0),
    ("ratio", "mio_barrier", 4.0),
    ("ratio", "mio_barrier", 0.5),
    ("ratio", "mio_deepest_dip", math.nan),
    ("own - 2 cross . other", "lazy_dpo_reward", 1.0, 1, 1, 1),
    ("beta", "dpo_time", 1.0, 0.0),
    ("kernel", "dpo_time", 1.0, 1.0, 0.0),
    ("time", "dpo_margin", -1.0, 1.0),
    ("1 . beta..2 kernel time", "dpo_margin", 1e308, 10.0),
    ("spent", "log_odds_at", math.inf),
    ("chi2", "ess_fraction", -1.0),
    ("log_ratio_variance", "nwj_value_variance", -1.0, 1.0),
    ("positives", "nwj_value_variance", 1.0, 1.0, 0),
    ("negatives", "nwj_value_variance", 1.0, 1.0, 1, 0),
    ("nats", "least_negative_variance", -1.0),
    ("relative_variance", "dv_bias", -1.0, 1),
    ("negatives", "dv_bias", 1.0, 0),
    ("ratio", "dv_bias_factor", 0.0),
    ("rho", "gaussian_information", 1.0),
    ("dim", "gaussian_information", 0.5, 0),
    ("nats", "gaussian_chi2", -0.1),
    ("batch", "nwj_in_batch_variance", 0.5, 1, 1),
    ("batch", "nwj_gradient_trace", 0.5, 1, 0),
    ("samples", "steps_to_first_signal", 0.1, 0),
    ("eps", "steps_to_first_signal", 1.5, 4),
    ("draws", "missed_mass", 0.5, 0),
    ("p", "drawn_js_weight", 0.0),
    ("target", "drawn_js_weight", 0.5, 1.1),
    ("p", "rlhf_success", 1.1, 1.0),
    ("beta", "rlhf_success", 0.5, 0.0),
    ("k", "pass_at_k", 0.5, 0),
    ("candidates", "infonce_ceiling", 0),
    ("alpha", "interpolated_ceiling", 2, 1.0),
    ("nats", "jsd_shortfall", -1.0),
    ("beta", "escape_constant", 0.0),
    ("samples", "escape_time_grpo", 0.1, 1),
    ("eps", "escape_time_grpo", 0.5, 4),
    ("k", "escape_time_pass_at_k", 0.1, 0),
    ("beta . L", "escape_time_natural", 1e-6, 1.0),
    ("p", "pass_at_k_slope", -0.1, 2),
    ("eps", "grpo_factor", 1.0, 4),
    ("samples", "grpo_factor", 0.1, 2.5),
    ("penalty", "coverage_cap", 1.0, 1.0, "chi2"),
    ("spread", "coverage_cap", -1.0, 1.0),
    ("width", "hoeffding_margin", -1.0, 10, 0.1),
    ("draws", "hoeffding_margin", 1.0, 0, 0.1),
    ("risk", "hoeffding_margin", 1.0, 10, 1.0),
    ("chi2", "infonce_shortfall", -1.0, 2),
    ("draws", "best_of_kl", 0),
    ("eps", "rounds_to_half", 0.0),
    ("time", "interference", -1.0, 1.0, 4.0, 1.0),
    ("own", "disentanglement_band", 0.0, 1.0, 3.0),
    ("cross", "disentanglement_band", 1.0, -1.0, 3.0),
    ("snr", "gaussian_immse", 0.5, -1.0),
]


@pytest.mark.parametrize("call", REFUSED, ids=lambda call: f"{call[1]}-{call[0]}")
def test_bad_arguments(call):
    name, function, *arguments = call
    with pytest.raises(ValueError, match=f"^{name}: expected.*got"):
        getattr(theory, function)(*arguments)
