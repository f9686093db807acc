"""Every theorem would notice a library that is wrong: with one thing changed in it, a cross-check refutes."""

import dataclasses
from math import log

import pytest
import torch

import mi_estimators as mi
from proofs.engine.theorem import decide
from proofs.ledger import load

THEOREMS = load()

# Wrong libraries, each wrong in one thing: (theorem that must notice, name in mi, what is wrong, what stands there).
RIGHT = {name: getattr(mi, name) for name in mi.__all__} | {
    f"{room}.{name}": getattr(getattr(mi, room), name)
    for room in ("bounds", "diagnostics")
    for name in getattr(mi, room).__all__
}
JS = mi.DIVERGENCES["js"]


def off(name, by):
    """The shipped function plus a constant."""
    return lambda *args, **kwargs: RIGHT[name](*args, **kwargs) + by


def loss(change):
    """`preference_loss`, changed."""

    def wrong(chosen, rejected, bound="js", mix=0.5):
        return change(RIGHT["preference_loss"], chosen, rejected, bound, mix)

    return wrong


def table(name, **change):
    """`DIVERGENCES` with one row changed."""
    return {**mi.DIVERGENCES, name: dataclasses.replace(mi.DIVERGENCES[name], **change)}


def linear(joint, product, log_p=None, log_q=None):
    """E_P T − E_Q T for a bound."""
    return RIGHT["mean"](joint, log_p) - RIGHT["mean"](product, log_q)


def other_mix(mix):
    return 1 - mix if mix < 1 else mix


TURNED = loss(lambda f, w, l, b, m: f(w, l, b, other_mix(m)))
AS_DPO = loss(lambda f, w, l, b, m: f(w, l, "dv", m))


def certificate(*args):
    """`jsd_certificate`, right in its value and wrong in its gradient."""
    value = RIGHT["bounds.jsd_certificate"](*args)
    return (value + value.detach()) / 2


PAIR_BIAS = RIGHT["diagnostics.exact_minibatch_bias"]
MUTANTS = [
    # bounds
    (
        "log_ratio_optimality",
        "DIVERGENCES",
        "js turned",
        table("js", reward=lambda t: JS.reward(-t)),
    ),
    (
        "log_ratio_optimality",
        "DIVERGENCES",
        "js shifted",
        table("js", reward=lambda t: JS.reward(t) - 1e-6),
    ),
    (
        "log_ratio_optimality",
        "DIVERGENCES",
        "nwj as published",
        table("nwj", penalty=lambda t: torch.exp(t - 1)),
    ),
    (
        "log_ratio_optimality",
        "DIVERGENCES",
        "a row without a proof",
        {**mi.DIVERGENCES, "new": dataclasses.replace(JS, name="new")},
    ),
    ("dv_representation", "dv", "off by 1e-6", off("dv", 1e-6)),
    (
        "dv_representation",
        "dv",
        "log_q ignored",
        lambda t, u, log_p=None, log_q=None: RIGHT["dv"](t, u, log_p),
    ),
    ("dv_shift_nwj", "nwj", "without the 1", off("nwj", -1)),
    ("dv_shift_nwj", "dv", "nwj instead", RIGHT["nwj"]),
    ("infonce_ceiling", "infonce", "off by 1e-6", off("infonce", 1e-6)),
    ("infonce_ceiling", "infonce", "columns for rows", lambda scores: RIGHT["infonce"](scores.mT)),
    (
        "gibbs_dv_duality",
        "log_mean_exp",
        "no logarithm",
        lambda t, log_q: RIGHT["mean"](t.exp(), log_q),
    ),
    ("gibbs_dv_duality", "dv", "off by 1e-6", off("dv", 1e-6)),
    ("js_value_and_gap", "js", "without the 2 ln 2", off("js", -2 * log(2))),
    ("js_value_and_gap", "js", "nwj instead", RIGHT["nwj"]),
    (
        "nwj_gap",
        "nwj",
        "as published, T for T + 1",
        lambda t, u, *w: RIGHT["nwj"](t - 1, u - 1, *w),
    ),
    ("nwj_gap", "nwj", "dv instead", RIGHT["dv"]),
    (
        "jsd_certificate",
        "bounds.jsd_certificate",
        "off by 1e-6",
        off("bounds.jsd_certificate", 1e-6),
    ),
    ("jsd_certificate", "bounds.jsd_certificate", "js instead", RIGHT["js"]),
    (
        "jsd_certificate",
        "bounds.jsd_certificate",
        "detached",
        lambda *a: RIGHT["bounds.jsd_certificate"](*a).detach() + 0 * a[0].sum(),
    ),
    (
        "smile_is_not_a_bound",
        "smile",
        "the reward clipped too",
        lambda t, u, c, *w: RIGHT["smile"](t.clamp(-c, c), u, c, *w),
    ),
    ("smile_is_not_a_bound", "smile", "never clipped", lambda t, u, c, *w: RIGHT["dv"](t, u, *w)),
    (
        "relative_ratio_ceiling",
        "bounds.relative",
        "the other mix",
        lambda bound, mix: RIGHT["bounds.relative"](bound, 1 - mix),
    ),
    (
        "relative_ratio_ceiling",
        "bounds.log_ratio_to_relative",
        "off by 1e-6",
        off("bounds.log_ratio_to_relative", 1e-6),
    ),
    (
        "relative_ratio_ceiling",
        "bounds.relative_to_log_ratio",
        "without the α",
        lambda t, m: RIGHT["bounds.relative_to_log_ratio"](t, m) - log(m),
    ),
    ("club_upper_bound", "bounds.club", "dv instead", RIGHT["dv"]),
    (
        "club_upper_bound",
        "bounds.club",
        "all negatives alike",
        lambda t, u, log_p, log_q: RIGHT["bounds.club"](t, u, log_p),
    ),
    (
        "score_weights",
        "score_weights",
        "signs turned",
        lambda b, t, u: [-w for w in RIGHT["score_weights"](b, t, u)],
    ),
    (
        "score_weights",
        "score_weights",
        "always dv's",
        lambda b, t, u: RIGHT["score_weights"]("dv", t.flatten(), u.flatten()),
    ),
    (
        "bridge_identity",
        "bounds.bridge",
        "dv instead",
        lambda t, u, p, q, log_odds: RIGHT["dv"](t, u, p, q),
    ),
    (
        "bridge_identity",
        "bounds.bridge",
        "odds turned",
        lambda t, u, p, q, log_odds: RIGHT["bounds.bridge"](t, u, p, q, -log_odds),
    ),
    (
        "interpolated_ceiling",
        "bounds.interpolated",
        "off by 1e-6",
        off("bounds.interpolated", 1e-6),
    ),
    (
        "interpolated_ceiling",
        "bounds.interpolated",
        "the other α",
        lambda t, a, *b: RIGHT["bounds.interpolated"](t, 1 - a, *b),
    ),
    # sampling
    ("dv_minibatch_bias", "dv", "nwj instead", RIGHT["nwj"]),
    ("dv_minibatch_bias", "dv", "no exponential", linear),
    ("dv_bias_ratio", "dv", "nwj instead", RIGHT["nwj"]),
    (
        "dv_bias_ratio",
        "dv",
        "half",
        lambda t, u, log_p=None, log_q=None: RIGHT["dv"](t, u, log_p, log_q) / 2,
    ),
    ("mine_gradient_bias", "mine", "no memory", lambda t, u, past, decay: RIGHT["mine"](t, u)),
    (
        "mine_gradient_bias",
        "mine",
        "decay turned",
        lambda t, u, past, decay: RIGHT["mine"](t, u, past, 1 - decay),
    ),
    (
        "mine_gradient_bias",
        "diagnostics.exact_minibatch_bias",
        "pairs only",
        lambda f, law, t, batch_size: PAIR_BIAS(f, law, t),
    ),
    (
        "ess_law",
        "effective_sample_size",
        "scores halved",
        lambda t: RIGHT["effective_sample_size"](t / 2),
    ),
    (
        "ess_law",
        "starvation_index",
        "the law ignored",
        lambda t, log_q=None: RIGHT["starvation_index"](t),
    ),
    ("nwj_variance", "nwj", "dv instead", RIGHT["dv"]),
    ("nwj_variance", "nwj", "off by 1e-6", off("nwj", 1e-6)),
    ("song_ermon_variance", "nwj", "dv instead", RIGHT["dv"]),
    ("song_ermon_variance", "dv", "half", lambda t, u: RIGHT["dv"](t, u) / 2),
    (
        "js_gradient_bounded",
        "score_weights",
        "nwj's",
        lambda b, t, u: RIGHT["score_weights"]("nwj", t, u),
    ),
    (
        "js_gradient_bounded",
        "score_weights",
        "signs turned",
        lambda b, t, u: RIGHT["score_weights"](b, -t, -u),
    ),
    ("missed_mass", "dv", "one negative", lambda t, u: RIGHT["dv"](t, u[..., :1])),
    ("missed_mass", "dv", "half", lambda t, u: RIGHT["dv"](t, u) / 2),
    ("mcallester_stratos", "dv", "one negative", lambda t, u: RIGHT["dv"](t, u[..., :1])),
    ("mcallester_stratos", "dv", "no exponential", linear),
    ("mcallester_stratos", "bounds.log_ratio_to_relative", "not mixed", lambda t, mix: t),
    # preference losses
    ("dpo_is_half_mixed_dv", "preference_loss", "the other mix", TURNED),
    (
        "dpo_is_half_mixed_dv",
        "preference_loss",
        "signs turned",
        loss(lambda f, w, l, b, m: f(-w, -l, b, m)),
    ),
    ("dpo_is_half_mixed_dv", "preference_loss", "off by 1e-6", off("preference_loss", 1e-6)),
    ("mio_is_half_mixed_js", "preference_loss", "the other mix", TURNED),
    ("mio_is_half_mixed_js", "preference_loss", "DPO", AS_DPO),
    (
        "mio_is_half_mixed_js",
        "preference_loss",
        "half",
        loss(lambda f, w, l, b, m: f(w, l, b, m) / 2),
    ),
    (
        "mio_anchor",
        "preference_anchor",
        "the other sign",
        lambda mix: -RIGHT["preference_anchor"](mix),
    ),
    ("mio_anchor", "preference_loss_floor", "off by 1e-6", off("preference_loss_floor", 1e-6)),
    ("mio_anchor", "preference_loss", "DPO", AS_DPO),
    (
        "mio_no_collapse",
        "no_collapse_interval",
        "narrow",
        lambda mix: [0.9999 * e for e in interval(mix)],
    ),
    (
        "mio_no_collapse",
        "no_collapse_interval",
        "wide",
        lambda mix: [1.0001 * e for e in interval(mix)],
    ),
    ("mio_no_collapse", "preference_loss", "DPO", AS_DPO),
    (
        "alpha_frees_the_anchor",
        "no_collapse_interval",
        "wide",
        lambda mix: [1.01 * e for e in interval(mix)],
    ),
    (
        "alpha_frees_the_anchor",
        "preference_anchor",
        "the other sign",
        lambda mix: -RIGHT["preference_anchor"](mix),
    ),
    ("loss_certifies_margin", "preference_loss", "the other mix", TURNED),
    (
        "loss_certifies_margin",
        "preference_loss",
        "half",
        loss(lambda f, w, l, b, m: f(w, l, b, m) / 2),
    ),
    (
        "dpo_flat_direction",
        "preference_loss",
        "a ridge",
        loss(lambda f, w, l, b, m: f(w, l, b, m) + 1e-3 * w**2),
    ),
    (
        "dpo_value_is_label_information",
        "preference_loss",
        "half",
        loss(lambda f, w, l, b, m: f(w, l, b, m) / 2),
    ),
    (
        "dpo_value_is_label_information",
        "preference_loss",
        "off by 1e-6",
        off("preference_loss", 1e-6),
    ),
    ("dpo_value_is_label_information", "mean", "weights ignored", lambda v, log_w: v.mean(-1)),
    (
        "dpo_value_is_no_kl_bound",
        "preference_loss",
        "half",
        loss(lambda f, w, l, b, m: f(w, l, b, m) / 2),
    ),
    ("dpo_value_is_no_kl_bound", "mean", "weights ignored", lambda v, log_w: v.mean(-1)),
    ("k_negatives_is_infonce", "preference_loss", "off by 1e-6", off("preference_loss", 1e-6)),
    ("k_negatives_is_infonce", "infonce", "−T", lambda scores: RIGHT["infonce"](-scores)),
    (
        "k_negatives_is_infonce",
        "preference_loss",
        "mask ignored",
        lambda w, l, b, m=0.5, *, mask=None: right_loss(w, l, b, m),
    ),
    (
        "nca_equals_mio",
        "preference_loss",
        "biased NCA",
        loss(lambda f, w, l, b, m: f(w, l, b, 1.0)),
    ),
    ("nca_equals_mio", "js", "without the constant", off("js", -1.3862943611198906)),
    (
        "preference_table",
        "preference_loss",
        "half-mix only",
        loss(lambda f, w, l, b, m: f(w, l, b, 0.5)),
    ),
    (
        "preference_table",
        "preference_loss",
        "shifted",
        loss(lambda f, w, l, b, m: f(w - 1, l - 1, b, m)),
    ),
    (
        "preference_table",
        "preference_loss",
        "chi2 halved",
        loss(lambda f, *t: f(*t) / (1 + (t[2] == "chi2"))),
    ),
    ("mio_loss_floor", "preference_loss_floor", "off by 1e-6", off("preference_loss_floor", 1e-6)),
    ("mio_loss_floor", "preference_loss", "half", loss(lambda f, w, l, b, m: f(w, l, b, m) / 2)),
    (
        "mio_loss_floor",
        "preference_loss",
        "MIO for all",
        loss(lambda f, w, l, b, m: f(w, l, b, 0.5)),
    ),
    (
        "mio_not_shift_invariant",
        "preference_loss",
        "a ridge",
        loss(lambda f, w, l, b, m: f(w, l, b, m) + 1e-3 * w**2),
    ),
    ("mio_not_shift_invariant", "preference_loss", "DPO", AS_DPO),
    (
        "matched_gradients",
        "preference_loss",
        "the other mix",
        loss(lambda f, w, l, b, m: f(w, l, b, 0.51)),
    ),
    ("matched_gradients", "preference_loss", "half", loss(lambda f, w, l, b, m: f(w, l, b, m) / 2)),
    ("rlhf_reach", "log_mean_exp", "the mean", lambda t, log_q: RIGHT["mean"](t, log_q)),
    ("rlhf_reach", "dv", "nwj instead", RIGHT["nwj"]),
    ("dpo_gradient_ratio", "preference_loss", "MIO", loss(lambda f, w, l, b, m: f(w, l, "js", m))),
    (
        "dpo_gradient_ratio",
        "preference_loss",
        "rejected held fixed",
        loss(lambda f, w, l, b, m: f(w, l.detach(), b, m)),
    ),
    # dynamics
    (
        "starvation_on_policy",
        "mean",
        "weights held fixed",
        lambda v, log_w: RIGHT["mean"](v, log_w.detach()),
    ),
    (
        "group_relative_zero_gradient",
        "mean",
        "the sum",
        lambda v, w=None: v.sum() if w is None else RIGHT["mean"](v, w),
    ),
    ("group_relative_zero_gradient", "mean", "half", lambda v, w=None: RIGHT["mean"](v, w) / 2),
    (
        "dpo_tabular_never_falls",
        "preference_loss",
        "the other mix",
        loss(lambda f, w, l, b, m: f(w, l, b, 0.51)),
    ),
    (
        "dpo_tabular_never_falls",
        "preference_loss",
        "MIO",
        loss(lambda f, w, l, b, m: f(w, l, "js", m)),
    ),
    ("mio_tabular_limit", "preference_loss", "the other mix", TURNED),
    ("mio_tabular_limit", "preference_loss", "DPO", AS_DPO),
    ("lazy_flow_collapse", "preference_loss", "the other mix", TURNED),
    ("lazy_flow_collapse", "preference_loss", "DPO", AS_DPO),
    ("mio_barrier", "preference_loss", "the other mix", TURNED),
    ("mio_barrier", "preference_loss", "DPO", AS_DPO),
    ("escape_times", "mean", "half", lambda v, w=None: RIGHT["mean"](v, w) / 2),
    (
        "escape_times",
        "preference_loss",
        "the other mix",
        loss(lambda f, w, l, b, m: f(w, l, b, 0.51)),
    ),
    (
        "mio_escapes_two_arms",
        "preference_loss",
        "the other mix",
        loss(lambda f, w, l, b, m: f(w, l, b, 0.51)),
    ),
    ("mio_escapes_two_arms", "preference_loss", "DPO", AS_DPO),
    ("mio_dip", "preference_loss", "the other mix", loss(lambda f, w, l, b, m: f(w, l, b, 0.51))),
    ("mio_dip", "preference_loss", "DPO", AS_DPO),
    ("who_samples_starves", "js", "DV instead", RIGHT["dv"]),
    ("who_samples_starves", "preference_loss", "the other mix", TURNED),
]
interval, right_loss = RIGHT["no_collapse_interval"], RIGHT["preference_loss"]


def is_first(mutant):
    return mutant is next(other for other in MUTANTS if other[0] == mutant[0])


@pytest.mark.parametrize(  # one a theorem, and the others in the broad run
    ("slug", "name", "label", "wrong"),
    [
        pytest.param(*m, id="-".join(m[:3]), marks=[] if is_first(m) else [pytest.mark.broad])
        for m in MUTANTS
    ],
)
def test_a_wrong_library_fails_the_theorem(slug, name, label, wrong, monkeypatch):
    """A cross-check refutes it, rather than raise."""
    monkeypatch.setattr(f"mi_estimators.{name}", wrong)
    cross_checks = [claim for claim in THEOREMS[slug].checks if claim.cross_check]
    assert any(decide(claim).outcome.verdict == "refuted" for claim in cross_checks)


@pytest.mark.parametrize("slug", sorted(THEOREMS))
def test_every_theorem_has_a_mutant(slug):
    assert any(mutant[0] == slug for mutant in MUTANTS)
