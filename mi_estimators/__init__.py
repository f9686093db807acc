"""Mutual-information bounds as functions of scores: estimators, diagnostics, and preference losses made from them."""

from . import laws, theory
from .bounds.baselines import interpolated
from .bounds.bennett import bridge
from .bounds.distributed import gather
from .bounds.divergences import DIVERGENCES, FDivergence
from .bounds.expectation import log_mean_exp, mean
from .bounds.objectives import mine
from .bounds.readouts import club, jsd_certificate, plug_in
from .bounds.relative import log_ratio_to_relative, relative, relative_to_log_ratio
from .bounds.scores import joint_and_product
from .bounds.variational import BOUNDS, dv, infonce, js, nwj, smile
from .checks.consistency import SelfConsistency, self_consistency
from .checks.permutation import PermutationTest, permutation_test
from .diagnostics.bias import MinibatchBias, exact_minibatch_bias, minibatch_bias
from .diagnostics.gradients import (
    GradientStatistics,
    gradient_statistics,
    jackknife_statistics,
    sample_gradients,
)
from .diagnostics.monitor import GradientMonitor
from .diagnostics.table import GradientTable, gradient_table
from .diagnostics.weights import effective_sample_size, score_weights, starvation_index
from .estimation.critics import CRITICS
from .estimation.estimator import MIEstimator, estimate_mi
from .estimation.neighbours import ksg
from .estimation.table import ESTIMATORS, Estimator
from .estimation.verdict import READOUTS, MIEstimate
from .preference.comparisons import ALTERNATIVES, bco, cal_dpo, dpo_sft, dpop, ipo, kto, sft
from .preference.loss import PREFERENCE_BOUNDS, preference_loss
from .theory.anchors import no_collapse_interval, preference_anchor, preference_loss_floor

__all__ = [
    "ALTERNATIVES",
    "BOUNDS",
    "CRITICS",
    "DIVERGENCES",
    "ESTIMATORS",
    "PREFERENCE_BOUNDS",
    "READOUTS",
    "Estimator",
    "FDivergence",
    "GradientMonitor",
    "GradientStatistics",
    "GradientTable",
    "MIEstimate",
    "MIEstimator",
    "MinibatchBias",
    "PermutationTest",
    "SelfConsistency",
    "bco",
    "bridge",
    "cal_dpo",
    "club",
    "dpo_sft",
    "dpop",
    "dv",
    "effective_sample_size",
    "estimate_mi",
    "exact_minibatch_bias",
    "gather",
    "gradient_statistics",
    "gradient_table",
    "infonce",
    "interpolated",
    "ipo",
    "jackknife_statistics",
    "joint_and_product",
    "js",
    "jsd_certificate",
    "ksg",
    "kto",
    "laws",
    "log_mean_exp",
    "log_ratio_to_relative",
    "mean",
    "mine",
    "minibatch_bias",
    "no_collapse_interval",
    "nwj",
    "permutation_test",
    "plug_in",
    "preference_anchor",
    "preference_loss",
    "preference_loss_floor",
    "relative",
    "relative_to_log_ratio",
    "sample_gradients",
    "score_weights",
    "self_consistency",
    "sft",
    "smile",
    "starvation_index",
    "theory",
]
__version__ = "0.1.0"
