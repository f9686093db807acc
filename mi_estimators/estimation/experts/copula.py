"""The closed-form part of a critic: the log-ratio of an elliptical copula, fitted to rank-Gaussianised columns.

Where (X, Y) is Gaussian, or Student-t, after some increasing map of each column, this log-ratio is exact up to
estimation error. A network that starts at zero beside it only has to learn the remainder.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ... import _validate
from ..decompose import decomposed
from .closed_form import ClosedForm

_CUT = 2.5  # standard errors an out-of-fold canonical correlation must reach to be kept
_FOLDS = 4  # in which correlations are measured
_REWEIGHTINGS = 8  # rounds of the t law's likelihood
_RIDGE = 1e-7  # canonical correlations need none; it keeps the inverse roots of duplicated columns finite
_CLOSEST = 1e-6  # of a correlation to 1, or 6.6 nats: the form's terms cancel to a tenth of a nat in float32
_CLOSEST_JOINTLY = 1e-10  # 11.2 nats in float64; rounding to float32 adds a hundredth of the noise
_LARGEST = 8.0  # no normal score of fewer than 10¹⁵ rows is beyond; Student scores would overflow


class EllipticalCopula(ClosedForm):
    """T(x, y) = ln c(x, y) − ln c(x) − ln c(y) of a Gaussian or Student-t copula, shape (..., n, m), in nats.

    In canonical coordinates u, v with correlations ρ_k, the log-ratio of the Gaussian copula is
        Σ_k [−½ ln(1 − ρ_k²) − (ρ_k²(u_k² + v_k²) − 2ρ_k u_k v_k) / (2(1 − ρ_k²))].
    That of the Student copula has the logarithms of its three quadratic forms in place of the second term. All rows
    determine the directions. Each correlation is measured on rows that did not determine its direction, and is set to
    zero if noise explains it. So the anchor of independent columns is zero.

    Args:
        x, y: normal scores of the training rows (see `transforms.Rank`), shapes (n, dx) and (n, dy).
        degrees_of_freedom: ν in {1, 2, 4} or ≥ 8; infinity is the Gaussian copula.
        jointly: x and y are not normal scores but columns whose joint law is itself Gaussian or Student.
        places: where the columns of each side begin among all that the critic is shown.

    Attributes:
        shortfall: expected loss on new rows, in nats, against the best copula of its rank; infinite where a pair has as
            much information as the form can hold.
        precise: whether its terms are computed in float64, because a pair is closer than float32 can hold.

    Raises:
        ValueError: entries that are not finite, or other degrees of freedom.

    Reference: Hotelling 1936 (canonical correlations); Demarta & McNeil 2005 (the t copula); Kent & Tyler 1991 (scatter
        by reweighting).
    """

    centre_x: Tensor
    centre_y: Tensor
    left: Tensor
    right: Tensor
    rho: Tensor

    def __init__(
        self,
        x: Float[Tensor, "n dx"],
        y: Float[Tensor, "n dy"],
        degrees_of_freedom: float = math.inf,
        *,
        jointly: bool = False,
        places: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.degrees_of_freedom = nu = degrees_of_freedom
        self.jointly, self.places = jointly, places
        self.dims = x.shape[1], y.shape[1]
        # Once two columns order all rows alike, their ranks do not tell how close they are.
        closest = _CLOSEST_JOINTLY if jointly and nu == math.inf else _CLOSEST

        x, y = _validate.scores("x", x).double(), _validate.scores("y", y).double()
        self.register_buffer("centre_x", x.mean(0).float())  # zero for normal scores without ties
        self.register_buffer("centre_y", y.mean(0).float())
        x, y = self._scores(x - self.centre_x), self._scores(y - self.centre_y)

        rho = _out_of_fold_correlations(x, y, nu, closest)
        noise = math.sqrt((1 + 2 / (nu + sum(self.dims))) / len(x))  # of rho, at independence
        rho = rho.where(rho > _CUT * noise, 0)
        order = rho.argsort(descending=True)
        rho, count = rho[order], int((rho > 0).sum())

        # The Gaussian form needs only the correlated directions; the Student form needs the radii, hence all of them.
        paired = min(self.dims)
        last_x, last_y = (count, count) if nu == math.inf else self.dims
        left, right = canonical_directions(x, y, nu)
        left = torch.cat([left[:, order], left[:, paired:]], 1)[:, :last_x]
        right = torch.cat([right[:, order], right[:, paired:]], 1)[:, :last_y]

        # A correlation of rank r has r (dx + dy − r) free entries; each costs new rows 1/(2n) nats on average (Akaike).
        self.shortfall = count * (sum(self.dims) - count) / (2 * len(x))
        if bool((rho >= 1 - 2 * closest).any()):  # a pair may have more than the form can hold
            self.shortfall = math.inf
        self.precise = bool((rho >= 1 - 2 * _CLOSEST).any()) and closest < _CLOSEST

        self.register_buffer("left", left.float())
        self.register_buffer("right", right.float())
        self.register_buffer("rho", rho[:count])

    def _scores(self, columns: Tensor) -> Tensor:
        return columns if self.jointly else student_scores(columns, self.degrees_of_freedom)

    def features(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> tuple[Float[Tensor, "*batch n p"], Float[Tensor, "*batch m p"]]:
        """Return the two sides of the quadratic form: what each row contributes to its `scores`, computed once a row.

        The form Q_ij = a_i + b_j − 2 Σ_k ρ_k/(1 − ρ_k²) u_ik v_jk is the product of (−2u, a, 1) and (v, 1, b). For a
        Student copula a last column holds the marginal term of the row.
        """
        nu, rho, k = self.degrees_of_freedom, self.rho, len(self.rho)
        kind = torch.float64 if self.precise else self.left.dtype
        u = self._scores(x.to(kind) - self.centre_x) @ self.left.to(kind)
        v = self._scores(y.to(kind) - self.centre_y) @ self.right.to(kind)

        log_det = -0.5 * torch.log1p(-(rho**2)).sum().to(u)
        gain = (rho**2 / (1 - rho**2)).to(u)
        cross = (rho / (1 - rho**2)).to(u)
        a = (u[..., :k] ** 2 @ gain).unsqueeze(-1)
        b = (v[..., :k] ** 2 @ gain).unsqueeze(-1)
        one_x, one_y = torch.ones_like(a), torch.ones_like(b)
        u_k, v_k = u[..., :k] * cross, v[..., :k]
        if nu == math.inf:
            return _beside(u_k, log_det - a / 2, one_x), _beside(v_k, one_y, -b / 2)

        dx, dy = self.dims
        radius_x, radius_y = ((w**2).sum(-1, keepdim=True) for w in (u, v))
        constant = math.lgamma((nu + dx + dy) / 2) + math.lgamma(nu / 2)
        constant -= math.lgamma((nu + dx) / 2) + math.lgamma((nu + dy) / 2)
        marginal_x = constant + log_det + (nu + dx) / 2 * torch.log1p(radius_x / nu)
        marginal_y = (nu + dy) / 2 * torch.log1p(radius_y / nu)
        return (
            _beside(-2 * u_k, radius_x + a, one_x, marginal_x),
            _beside(v_k, one_y, radius_y + b, marginal_y),
        )

    def scores(
        self, x: Float[Tensor, "*batch n p"], y: Float[Tensor, "*batch m p"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix of rows' `features`, in nats."""
        nu = self.degrees_of_freedom
        if nu == math.inf:
            return (x @ y.mT).to(self.left.dtype)

        marginals = x[..., -1:] + y[..., -1:].mT
        radius = (x[..., :-1] @ y[..., :-1].mT).clamp_min(0)  # of (x, y) together
        return marginals - (nu + sum(self.dims)) / 2 * torch.log1p(radius / nu)


def _beside(*columns: Tensor) -> Tensor:
    return torch.cat(columns, -1)


def student_scores(z: Tensor, nu: float) -> Tensor:
    """Return F_ν⁻¹(Φ(z)): exact for ν = 1, 2, 4 and ∞, by the Cornish–Fisher expansion for ν ≥ 8. Stops at |z| = 8.

    At ν = 8 the expansion is off by 0.3 % at |z| = 3, 1.5 % at 4 and 6 % at 5; at ν = 16 by 0.02, 0.2 and 0.6 %.

    >>> student_scores(torch.tensor([0.0, 1.959964], dtype=torch.float64), 2)  # the 97.5 % point of t with 2 degrees
    tensor([0.0000, 4.3027], dtype=torch.float64)
    """
    if nu == math.inf:
        return z

    z = z.clamp(-_LARGEST, _LARGEST)
    if nu >= 8:
        first = (z**3 + z) / 4
        second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
        third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
        return z + first / nu + second / nu**2 + third / nu**3

    if nu not in (1, 2, 4):
        raise ValueError(f"degrees_of_freedom: expected 1, 2, 4 or at least 8, got {nu!r}")

    # erfc is accurate where 1 − Φ cancels, as torch's ndtr does too.
    tail = torch.special.erfc(z.abs() / math.sqrt(2)) / 2
    if nu == 1:
        size = 1 / torch.tan(math.pi * tail)
    elif nu == 2:
        size = (1 - 2 * tail) / (2 * tail * (1 - tail)).sqrt()
    else:
        # 2 √(cos(third)/root − 1), third = arccos(root)/3: both cancel about z = 0.
        root = (4 * tail * (1 - tail)).sqrt()
        third = torch.atan2(1 - 2 * tail, root) / 3
        size = 2 * (2 * torch.sin(2 * third) * torch.sin(third) / root).sqrt()

    return size * z.sign()


def _out_of_fold_correlations(x: Tensor, y: Tensor, nu: float, closest: float) -> Tensor:
    """Return the canonical correlations, each of rows that did not determine its directions."""
    u, v = torch.empty_like(x), torch.empty_like(y)
    fold = torch.arange(len(x), device=x.device) % _FOLDS
    for k in range(_FOLDS):
        own, others = fold == k, fold != k
        left, right = canonical_directions(x[others], y[others], nu)
        u[own] = x[own] @ left
        v[own] = y[own] @ right
    return canonical_correlations(u, v, nu, closest)


def canonical_directions(x: Tensor, y: Tensor, nu: float) -> tuple[Tensor, Tensor]:
    """Return the matrices (dx, dx) and (dy, dy) that whiten x and y and pair their columns by canonical correlation."""
    rows, dx = torch.cat([x, y], 1), x.shape[1]
    scatter = _scatter(rows, nu)

    white_x = _inverse_root(scatter[:dx, :dx])
    white_y = _inverse_root(scatter[dx:, dx:])
    cross = white_x @ scatter[:dx, dx:] @ white_y
    left, _, right = decomposed(torch.linalg.svd, cross, full_matrices=True)
    return white_x @ left, white_y @ right.mT


def _scatter(rows: Tensor, nu: float) -> Tensor:
    """Return the scatter matrix by maximum likelihood: of the t law by a few rounds of reweighting."""
    if nu == math.inf:
        return rows.T @ rows / len(rows)

    dim = rows.shape[1]
    scatter = torch.eye(dim, dtype=rows.dtype, device=rows.device)
    for _ in range(_REWEIGHTINGS):
        radius = (torch.linalg.solve(_shrunk(scatter), rows.T).T * rows).sum(-1)
        weighted = rows * _weights(radius, dim, nu).unsqueeze(-1)
        scatter = weighted.T @ rows / len(rows)
    return scatter


def canonical_correlations(u: Tensor, v: Tensor, nu: float, closest: float = _CLOSEST) -> Tensor:
    """Return the correlation of each pair of canonical coordinates, by maximum likelihood for the t law."""
    paired, dim = min(u.shape[1], v.shape[1]), u.shape[1] + v.shape[1]
    radius = (u**2).sum(-1) + (v**2).sum(-1)
    u, v = u[:, :paired], v[:, :paired]
    squares = u**2 + v**2

    rho = u.new_zeros(paired)
    for _ in range(1 if nu == math.inf else 16):
        excess = (squares * rho**2 - 2 * rho * u * v) @ (1 - rho**2).reciprocal()
        weights = _weights(radius + excess, dim, nu)
        sizes = (weights @ u**2) * (weights @ v**2)
        rho = (weights @ (u * v)) / sizes.sqrt()
        rho = rho.nan_to_num(0).clamp(closest - 1, 1 - closest)

    return rho


def _weights(radius: Tensor, dim: int, nu: float) -> Tensor:
    """Return the weight of each row in the scatter of a t law; 1 for the Gaussian."""
    return torch.ones_like(radius) if nu == math.inf else (nu + dim) / (nu + radius)


def _inverse_root(covariance: Tensor) -> Tensor:
    """Return C^{−½} of the shrunk C."""
    values, vectors = decomposed(torch.linalg.eigh, _shrunk(covariance))
    return vectors @ torch.diag(values.rsqrt()) @ vectors.mT


def _shrunk(covariance: Tensor) -> Tensor:
    """Return C moved a little towards its mean eigenvalue, so that duplicated or constant columns do no harm."""
    size = covariance.diagonal().mean()
    eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    return (1 - _RIDGE) * covariance + _RIDGE * size.where(size > 0, 1) * eye
