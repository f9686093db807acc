"""Collapse in the plane of the two log-ratios: the frozen-kernel flow over κ and β, and the field of every loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import theory

from ...models.flows import grid, integrate
from ...models.training import descend
from .losses import LOSSES


@dataclass(frozen=True)
class Kernel:
    """Flow of one pair under the frozen kernel a = 1, c = κ, d = κ² + excess, over a grid of κ and β."""

    bound: str
    kappas: tuple[float, ...]
    betas: tuple[float, ...]
    excess: float = 1.0
    horizon: float = 300.0


@dataclass(frozen=True)
class Plane:
    """−∇L of every loss over the plane (z_w, z_l) at β = 1, and its descent from 0 under the kernel of κ = 3."""

    losses: tuple[str, ...] = tuple(LOSSES)
    extent: float = 3.0
    points: int = 13
    kappa: float = 3.0
    steps: int = 1500
    rate: float = 0.02


def dpo_end(spec: Kernel, kappa: float, beta: float) -> float:
    """Return DPO's z_w at the horizon, in closed form."""
    other = kappa**2 + spec.excess
    margin = theory.dpo_margin(spec.horizon, beta, kernel=1 - 2 * kappa + other)
    return theory.lazy_dpo_reward(margin, own=1, cross=kappa, other=other)


def kernel(spec: Kernel, seed: int) -> tuple[dict, dict]:
    """Integrate ż = −K ∇L(z) from 0 on the whole grid at once, ∇L by automatic differentiation of mi's loss."""
    kappa, beta = grid(spec.kappas, spec.betas)
    lowest, highest_rejected = torch.zeros_like(kappa), torch.zeros_like(kappa)

    def field(z: Tensor) -> Tensor:
        z = z.detach().requires_grad_()
        loss = mi.preference_loss(
            beta * z[:, 0],
            beta * z[:, 1],
            bound=spec.bound,
        )
        g_w, g_l = torch.autograd.grad(loss.sum(), z)[0].unbind(-1)

        return -torch.stack([g_w + kappa * g_l, kappa * g_w + (kappa**2 + spec.excess) * g_l], -1)

    def observe(time: Tensor, z: Tensor) -> None:
        torch.minimum(lowest, z[:, 0], out=lowest)
        torch.maximum(
            highest_rejected,
            torch.where(kappa >= 1, z[:, 1], 0.0),
            out=highest_rejected,
        )

    start = torch.zeros(len(kappa), 2, dtype=torch.float64)
    end = integrate(field, start, spec.horizon, observe=observe, max_steps=50_000)
    measured = {
        "final": end.state[:, 0].view(len(spec.kappas), -1).tolist(),
        "lowest": lowest.view(len(spec.kappas), -1).tolist(),
        "highest_rejected": float(highest_rejected.max()),
    }

    if spec.bound == "dv":
        ends = [[dpo_end(spec, k, b) for b in spec.betas] for k in spec.kappas]
        return measured, {"final": ends}

    return measured, {
        "final": [[mi.preference_anchor(0.5) / b for b in spec.betas] for _ in spec.kappas],
        "dip": [theory.mio_deepest_dip(k) for k in spec.kappas],
        "interval": mi.no_collapse_interval(0.5)[0],
    }


def plane(spec: Plane, seed: int) -> tuple[dict, dict]:
    """Take gradients on a grid, the curvature of the common mode at (½, −½), and the descent of a log-linear policy."""
    axis = torch.linspace(
        -spec.extent,
        spec.extent,
        spec.points,
        dtype=torch.float64,
    )

    middle = torch.tensor([[0.5, -0.5]], dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)

    measured = {}
    for name in spec.losses:

        def loss(z: Tensor, name: str = name) -> Tensor:
            return LOSSES[name](z[..., :1], z[..., 1:], one).squeeze(-1)

        z = torch.cartesian_prod(axis, axis).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(z).sum(), z)
        hessian = torch.autograd.functional.hessian(lambda z, loss=loss: loss(z).sum(), middle)
        assert isinstance(hessian, Tensor)  # as one tensor goes in
        path = _path(spec, loss)
        measured[name] = {
            "descent": (-gradient).T.reshape(2, spec.points, spec.points).tolist(),
            "path": [path[:: spec.steps // 60].tolist(), path[-1].tolist()],
            "lowest": float(path[:, 0].min()),
            "common_curvature": float(hessian.sum() / 2),
        }

    share = 1 / (1 + math.exp(-0.5))
    curvature = {name: 0.0 for name in ("dpo", "ipo", "dpop", "dpo_sft")} | {"cal_dpo": 2.0}
    for name in ("mio", "alpha_mio", "bce"):  # ½[(2 − α) + α] σ′(½), whatever α
        curvature[name] = share * (1 - share)

    return {"axis": axis.tolist(), "fields": measured}, {"common_curvature": curvature}


def _path(spec: Plane, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Return z along the descent of θ, z_w = θ₁, z_l = κθ₁ + θ₂: the kernel a = 1, c = κ, d = κ² + 1."""
    features = torch.tensor([[1.0, spec.kappa], [0.0, 1.0]], dtype=torch.float64)
    path: list[Tensor] = []
    descend(
        lambda p: (loss(p[0] @ features), (p[0] @ features).detach()),
        [torch.zeros(1, 2, dtype=torch.float64)],
        spec.steps,
        spec.rate,
        lambda step, losses, z: path.append(z[0]),
    )

    return torch.stack(path)
