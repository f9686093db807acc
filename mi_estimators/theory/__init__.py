"""The theory as plain arithmetic: escape times, anchors, ceilings, and the noise of minibatches in closed form.

Every function takes floats, numpy arrays, tensors and sympy symbols alike: the proofs prove these very functions, the
lab draws them, and you call them. Those that search for a root or integrate take plain numbers, and say so.

>>> import mi_estimators as mi
>>> round(mi.theory.escape_time_rlhf(0.1), 6)
6.641669
"""

from .anchors import (
    chosen_term,
    freeing_mix,
    mio_ceiling,
    mio_target,
    no_collapse_interval,
    no_collapse_share,
    preference_anchor,
    preference_loss_floor,
    win_rate_score,
)
from .critics import (
    critic_time_dv,
    critic_time_js,
    critic_time_nwj,
    minibatch_dv_slope,
    minibatch_dv_threshold,
    two_level_optimum,
)
from .escape import (
    escape_time_dpo,
    escape_time_drawn_js,
    escape_time_mio,
    escape_time_rlhf,
    escape_time_sft,
    log_odds,
    mio_drift,
    mio_escapes,
    mio_rest,
)
from .flows import (
    chosen_pull,
    dpo_margin,
    dpo_time,
    lazy_dpo_reward,
    log_odds_at,
    mio_barrier,
    mio_deepest_dip,
    rejected_push,
    turning_point,
)
from .gaussian import (
    dv_gradient_trace,
    gaussian_chi2,
    gaussian_information,
    gaussian_log_ratio_variance,
    js_gradient_bound,
    nwj_gradient_trace,
    nwj_in_batch_variance,
)
from .limits import infonce_ceiling, interpolated_ceiling, jsd_shortfall
from .reach import (
    drawn_js_weight,
    missed_mass,
    pass_at_k,
    rlhf_success,
    steps_to_first_signal,
    zero_gradient_probability,
)
from .sampling import (
    dv_bias,
    dv_bias_factor,
    ess_fraction,
    least_negative_variance,
    nwj_value_variance,
)

__all__ = [
    "chosen_pull",
    "chosen_term",
    "critic_time_dv",
    "critic_time_js",
    "critic_time_nwj",
    "dpo_margin",
    "dpo_time",
    "drawn_js_weight",
    "dv_bias",
    "dv_bias_factor",
    "dv_gradient_trace",
    "escape_time_dpo",
    "escape_time_drawn_js",
    "escape_time_mio",
    "escape_time_rlhf",
    "escape_time_sft",
    "ess_fraction",
    "freeing_mix",
    "gaussian_chi2",
    "gaussian_information",
    "gaussian_log_ratio_variance",
    "infonce_ceiling",
    "interpolated_ceiling",
    "js_gradient_bound",
    "jsd_shortfall",
    "lazy_dpo_reward",
    "least_negative_variance",
    "log_odds",
    "log_odds_at",
    "minibatch_dv_slope",
    "minibatch_dv_threshold",
    "mio_barrier",
    "mio_ceiling",
    "mio_deepest_dip",
    "mio_drift",
    "mio_escapes",
    "mio_rest",
    "mio_target",
    "missed_mass",
    "no_collapse_interval",
    "no_collapse_share",
    "nwj_gradient_trace",
    "nwj_in_batch_variance",
    "nwj_value_variance",
    "pass_at_k",
    "preference_anchor",
    "preference_loss_floor",
    "rejected_push",
    "rlhf_success",
    "steps_to_first_signal",
    "turning_point",
    "two_level_optimum",
    "win_rate_score",
    "zero_gradient_probability",
]
