"""From rows to a number with an interval and a verdict: critics, their training, and what is read from their scores.

`ESTIMATORS` says what is ascended and what is reported, `CRITICS` how a critic is made and what its scores cost,
`EXPERTS` what may carry the value.
"""

from .arguments import Arguments
from .columns import PairwiseMI, pairwise_mi
from .conditional import ConditionalMI, conditional_mi
from .critics import (
    CRITICS,
    Architecture,
    Bilinear,
    Concatenated,
    CriticName,
    Encoded,
    Separable,
    Sum,
)
from .encoders import EncodedCritic, Encoders
from .estimate import MIEstimate
from .estimator import EFFORTS, MIEstimator, estimate_mi
from .experts import EXPERTS, Expert
from .neighbours import ksg
from .table import ESTIMATORS, READOUTS, Estimator, EstimatorName

__all__ = [
    "CRITICS",
    "EFFORTS",
    "ESTIMATORS",
    "EXPERTS",
    "READOUTS",
    "Architecture",
    "Arguments",
    "Bilinear",
    "Concatenated",
    "ConditionalMI",
    "CriticName",
    "Encoded",
    "EncodedCritic",
    "Encoders",
    "Estimator",
    "EstimatorName",
    "Expert",
    "MIEstimate",
    "MIEstimator",
    "PairwiseMI",
    "Separable",
    "Sum",
    "conditional_mi",
    "estimate_mi",
    "ksg",
    "pairwise_mi",
]
