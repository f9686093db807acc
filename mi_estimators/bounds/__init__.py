"""Bounds as functions of scores: the table of f-divergences, DV and its kin, and how they are read from samples.

`joint` holds the scores T(x, y) of pairs from P, `product` those of pairs from Q, with T ≈ ln dP/dQ, in nats.

>>> import torch
>>> import mi_estimators as mi
>>> float(mi.bounds.DIVERGENCES["chi2"](torch.zeros(3), torch.zeros(5)))  # at T = 0 every row says P = Q
0.0
"""

from .baselines import interpolated
from .bennett import bridge
from .distributed import gather
from .divergences import DIVERGENCES, FDivergence
from .expectation import log_mean_exp, mean
from .objectives import logistic, mine
from .readouts import certificate, club, jsd_certificate, plug_in
from .relative import log_ratio_to_relative, relative, relative_to_log_ratio
from .scores import Critic, joint_and_product
from .variational import BOUNDS, Bound, anchored_dv, dv, infonce, js, nwj, smile

__all__ = [
    "BOUNDS",
    "DIVERGENCES",
    "Bound",
    "Critic",
    "FDivergence",
    "anchored_dv",
    "bridge",
    "certificate",
    "club",
    "dv",
    "gather",
    "infonce",
    "interpolated",
    "joint_and_product",
    "js",
    "jsd_certificate",
    "log_mean_exp",
    "log_ratio_to_relative",
    "logistic",
    "mean",
    "mine",
    "nwj",
    "plug_in",
    "relative",
    "relative_to_log_ratio",
    "smile",
]
