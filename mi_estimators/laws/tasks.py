"""The table of tasks: named laws of known mutual information, on which estimators are compared.

The names of the 'Beyond Normal' benchmark mean its tasks: {dim_x}-{dim_y}-{interacting pairs}-{signal strength s} for
sparse normals (correlation s²/(1 + s²), so 0.8 at s = 2), {dim_x}-{dim_y}-{correlation} for dense ones,
{dim_x}-{dim_y}-{degrees of freedom} for Student laws. Its entries that do not interact are independent here.

Reference: Czyż, Grabowski, Vogt, Beerenwinkel and Marx 2023 (arXiv 2306.11078).
"""

from __future__ import annotations

import math

import torch

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
from .transformed import Transformed

_NORMAL = Gaussian(0.75)
_UNIFORM = Transformed(_NORMAL, NORMAL_CDF, NORMAL_CDF)
_WIGGLY_X = wiggly(((0.4, 1.0, 0.0), (0.2, 1.7, 1.0), (0.03, 3.3, -2.5)))
_WIGGLY_Y = wiggly(((-0.4, 0.4, 0.0), (0.17, 1.3, 3.5), (0.02, 4.3, -2.5)))
_BIMODAL_X, _BIMODAL_Y = (
    mixture_quantile((0.3, 0.7), (0.0, 5.0)),
    mixture_quantile((0.5, 0.5), (-1.0, 3.0)),
)
_DENSE, _SPARSE, _STUDENT = (
    MultivariateGaussian.dense,
    MultivariateGaussian.sparse,
    StudentT.identity,
)
_SPARSE_3, _SPARSE_5, _SPARSE_25 = (
    _SPARSE(dim, dim, pairs=2, correlation=0.8) for dim in (3, 5, 25)
)
_UNIFORM_3, _UNIFORM_5, _UNIFORM_25 = (
    Transformed(law, NORMAL_CDF, NORMAL_CDF) for law in (_SPARSE_3, _SPARSE_5, _SPARSE_25)
)
_SPIRALS = spiral(1 / 3, plane=(0, 1), power=2), spiral(1 / 3, plane=(1, 2), power=2)
_FOUR, _TWO = (
    embedding(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])),
    embedding(torch.eye(2)[:, 1:]),
)
_XOR = Finite(
    torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.9, 0.1]], dtype=torch.float64).div(4).log()
)

TASKS: dict[str, Law] = {
    # 'Beyond Normal': one x and one y
    "1v1-normal-0.75": _NORMAL,
    "normal_cdf-normal-0.75": _UNIFORM,
    "1v1-additive-0.1": AdditiveNoise(0.1),
    "1v1-additive-0.75": AdditiveNoise(0.75),
    "1v1-bimodal-0.75": Transformed(_NORMAL, _BIMODAL_X, _BIMODAL_Y),
    "wiggly-normal-0.75": Transformed(_NORMAL, _WIGGLY_X, _WIGGLY_Y),
    "half_cube-normal-0.75": Transformed(_NORMAL, HALF_CUBE, HALF_CUBE),
    "student-identity-1-1-1": _STUDENT(1, 1, degrees_of_freedom=1),
    "asinh-student-identity-1-1-1": Transformed(_STUDENT(1, 1, degrees_of_freedom=1), ASINH, ASINH),
    # 'Beyond Normal': embedded, many columns, heavy tails
    "swissroll-normal-0.75": Transformed(_UNIFORM, SWISS_ROLL),
    "multinormal-dense-2-2-0.5": _DENSE(2, 2, correlation=0.5),
    "multinormal-dense-3-3-0.5": _DENSE(3, 3, correlation=0.5),
    "multinormal-dense-5-5-0.5": _DENSE(5, 5, correlation=0.5),
    "multinormal-dense-25-25-0.5": _DENSE(25, 25, correlation=0.5),
    "multinormal-dense-50-50-0.5": _DENSE(50, 50, correlation=0.5),
    "multinormal-sparse-2-2-2-2.0": _SPARSE(2, 2, pairs=2, correlation=0.8),
    "multinormal-sparse-3-3-2-2.0": _SPARSE_3,
    "multinormal-sparse-5-5-2-2.0": _SPARSE_5,
    "multinormal-sparse-25-25-2-2.0": _SPARSE_25,
    "student-identity-2-2-1": _STUDENT(2, 2, degrees_of_freedom=1),
    "student-identity-2-2-2": _STUDENT(2, 2, degrees_of_freedom=2),
    "student-identity-3-3-2": _STUDENT(3, 3, degrees_of_freedom=2),
    "student-identity-3-3-3": _STUDENT(3, 3, degrees_of_freedom=3),
    "student-identity-5-5-2": _STUDENT(5, 5, degrees_of_freedom=2),
    "student-identity-5-5-3": _STUDENT(5, 5, degrees_of_freedom=3),
    # 'Beyond Normal': transformed
    "normal_cdf-multinormal-sparse-3-3-2-2.0": _UNIFORM_3,
    "normal_cdf-multinormal-sparse-5-5-2-2.0": _UNIFORM_5,
    "normal_cdf-multinormal-sparse-25-25-2-2.0": _UNIFORM_25,
    "half_cube-multinormal-sparse-3-3-2-2.0": Transformed(_SPARSE_3, HALF_CUBE, HALF_CUBE),
    "half_cube-multinormal-sparse-5-5-2-2.0": Transformed(_SPARSE_5, HALF_CUBE, HALF_CUBE),
    "half_cube-multinormal-sparse-25-25-2-2.0": Transformed(_SPARSE_25, HALF_CUBE, HALF_CUBE),
    "spiral-multinormal-sparse-3-3-2-2.0": Transformed(_SPARSE_3, *_SPIRALS),
    "spiral-multinormal-sparse-5-5-2-2.0": Transformed(_SPARSE_5, *_SPIRALS),
    "spiral-multinormal-sparse-25-25-2-2.0": Transformed(_SPARSE_25, *_SPIRALS),
    "spiral-normal_cdf-multinormal-sparse-3-3-2-2.0": Transformed(_UNIFORM_3, *_SPIRALS),
    "spiral-normal_cdf-multinormal-sparse-5-5-2-2.0": Transformed(_UNIFORM_5, *_SPIRALS),
    "spiral-normal_cdf-multinormal-sparse-25-25-2-2.0": Transformed(_UNIFORM_25, *_SPIRALS),
    "asinh-student-identity-2-2-1": Transformed(_STUDENT(2, 2, degrees_of_freedom=1), ASINH, ASINH),
    "asinh-student-identity-3-3-2": Transformed(_STUDENT(3, 3, degrees_of_freedom=2), ASINH, ASINH),
    "asinh-student-identity-5-5-2": Transformed(_STUDENT(5, 5, degrees_of_freedom=2), ASINH, ASINH),
    # normal laws from nothing to 10 nats
    "1v1-normal-0.25": Gaussian(0.25),
    "1v1-normal-0.99": Gaussian(0.99),
    "1v1-cubic-0.75": Transformed(_NORMAL, map_y=CUBIC),
    "multinormal-50-0nats": Gaussian(0.0, dim=50),
    "multinormal-20-2nats": Gaussian.with_information(2.0, dim=20),
    "multinormal-20-5nats": Gaussian.with_information(5.0, dim=20),
    "multinormal-20-10nats": Gaussian.with_information(10.0, dim=20),
    "cubic-multinormal-20-5nats": Transformed(Gaussian.with_information(5.0, dim=20), map_y=CUBIC),
    "spiral-normal-2-2-0.75": Transformed(Gaussian(0.75, dim=2), spiral(math.pi), spiral(-math.pi)),
    # several modes, atoms, tails with correlation, and stacks of unlike laws
    "1v1-mixture-two": GaussianMixture(
        (0.5, 0.5), ((-1.5, -1.5), (1.5, 1.5)), ((1.0, 1.0), (1.0, 1.0)), (0.5, 0.5)
    ),
    "1v1-mixture-cross": GaussianMixture(
        (0.5, 0.5), ((0.0, 0.0), (0.0, 0.0)), ((1.0, 1.0), (1.0, 1.0)), (0.9, -0.9)
    ),
    "mixed-uniform-5": MixedUniform(5),
    "mixed-sign-1.0": GaussianChannel((-1.0, 1.0), sigma=1.0),
    "mixed-four-0.3": GaussianChannel(
        (-1.5, -0.5, 0.5, 1.5), sigma=0.3, probabilities=(0.1, 0.4, 0.4, 0.1)
    ),
    "finite-xor-0.9": Transformed(_XOR, _FOUR, _TWO),
    "student-dense-5-5-3-0.5": StudentT(
        _DENSE(5, 5, correlation=0.5).covariance, 5, degrees_of_freedom=3
    ),
    "student-sparse-2-2-2-1": StudentT(
        _SPARSE(2, 2, pairs=2, correlation=0.8).covariance, 2, degrees_of_freedom=1
    ),
    "product-unlike-3-3": ProductLaw((Gaussian(0.5), AdditiveNoise(0.75), MixedUniform(3))),
}
"""Name → law, for 58 tasks; a law's `mutual_information` is what an estimator should find."""
