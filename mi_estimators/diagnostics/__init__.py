"""Diagnostics: which samples carry the gradient, how much of it is signal, and whether it is right on average."""

from .bias import MinibatchBias, exact_minibatch_bias, minibatch_bias
from .gradients import (
    GradientStatistics,
    gradient_statistics,
    jackknife_statistics,
    sample_gradients,
)
from .monitor import GradientMonitor
from .table import GradientTable, gradient_table
from .tails import pareto_k
from .weights import effective_sample_size, score_weights, starvation_index

__all__ = [
    "GradientMonitor",
    "GradientStatistics",
    "GradientTable",
    "MinibatchBias",
    "effective_sample_size",
    "exact_minibatch_bias",
    "gradient_statistics",
    "gradient_table",
    "jackknife_statistics",
    "minibatch_bias",
    "pareto_k",
    "sample_gradients",
    "score_weights",
    "starvation_index",
]
