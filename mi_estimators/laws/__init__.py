"""Exact laws: joint distributions whose log-ratio and mutual information are known, as samplers and as tables."""

from typing import TYPE_CHECKING, Any

from .additive import AdditiveNoise
from .embeddings import SWISS_ROLL, embedding, spiral
from .finite import Finite
from .gaussian import Gaussian
from .law import Law
from .maps import ASINH, CUBIC, HALF_CUBE, NORMAL_CDF, mixture_quantile, wiggly
from .mixed import GaussianChannel, MixedUniform
from .mixture import GaussianMixture
from .multivariate import MultivariateGaussian
from .product import ProductLaw
from .student import StudentT
from .transformed import IDENTITY, InjectiveMap, Transformed

if TYPE_CHECKING:
    from .tasks import TASKS

__all__ = [
    "ASINH",
    "CUBIC",
    "HALF_CUBE",
    "IDENTITY",
    "NORMAL_CDF",
    "SWISS_ROLL",
    "TASKS",
    "AdditiveNoise",
    "Finite",
    "Gaussian",
    "GaussianChannel",
    "GaussianMixture",
    "InjectiveMap",
    "Law",
    "MixedUniform",
    "MultivariateGaussian",
    "ProductLaw",
    "StudentT",
    "Transformed",
    "embedding",
    "mixture_quantile",
    "spiral",
    "wiggly",
]


def __getattr__(name: str) -> Any:
    """Make the table of tasks when it is first asked for: its laws take as long as the rest of the import."""
    if name == "TASKS":
        from .tasks import TASKS

        return TASKS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
