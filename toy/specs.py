"""What is run: frozen specs, one row of results each, and the suites made of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EscapeFlow:
    """Escape times by exact gradient flow in the logits of two arms, one per (beta, eps).

    Attributes:
        objective: a key of `policy.OBJECTIVES`.
        eps: p(correct) of the base policy.
        betas: inverse temperatures; (1.0,) where the objective has none.
        mix: α of the mixed marginal, for "mio"; None: the α that theory recommends for each ε, 1 − α = ε^β.
    """

    objective: str
    eps: tuple[float, ...]
    betas: tuple[float, ...] = (1.0,)
    mix: float | None = 0.5


@dataclass(frozen=True)
class MioLift:
    """How far MIO's exact flow lifts p(correct), with `arms` responses of which all but two are unseen."""

    arms: int
    eps: tuple[float, ...]
    betas: tuple[float, ...]
    mix: float = 0.5


@dataclass(frozen=True)
class EscapeSampled:
    """Escape times of gradients that the policy's own answers carry.

    Attributes:
        objective: a key of `sampling.DRAWN`: "rlhf" with the group's mean reward as baseline, or a bound.
        eps: p(correct) of the base policy.
        samples: n answers a step.
        learning_rate, replicas: of plain ascent, all ε and replicas side by side.
        every_step: take every step. If not, steps without a signal, whose gradient is exactly 0, are counted and not
            taken: their number is drawn at once, from its geometric law.
    """

    eps: tuple[float, ...]
    samples: int
    objective: str = "rlhf"
    learning_rate: float = 0.5
    replicas: int = 64
    every_step: bool = False


@dataclass(frozen=True)
class WhoSamples:
    """What a bound or a loss puts on ∇ ln π(correct) at the base policy: on average, and over groups of n answers."""

    eps: tuple[float, ...]
    samples: int = 64
    groups: int = 65_536
    mix: float = 0.9


@dataclass(frozen=True)
class Collapse:
    """DPO at β against MIO at 2β on a network with a softmax over 10 responses.

    Attributes:
        betas: β of DPO; MIO runs at 2β, where its first gradient is DPO's.
        policy: "network" or "tabular" (one free logit per prompt and response).
        activation: of the network's two hidden layers.
        pairs: "policy": two responses drawn from the base policy, the preferred one by a fair coin; "exclusive": the
            prompts fall into four groups, each with a chosen and a rejected response that no other group uses.
        prompts, inputs, width, replicas: numbers of prompts, input coordinates, hidden units and independent seeds.
        sft_steps, sft_rate, steps: of plain gradient descent, full batch.
        reward_rate: η·β, the same for all β: the learning rate of the preference phase is reward_rate/β.
    """

    betas: tuple[float, ...] = (0.1, 1.0)
    policy: str = "network"
    activation: str = "tanh"
    pairs: str = "policy"
    prompts: int = 16
    inputs: int = 8
    width: int = 32
    replicas: int = 16
    sft_steps: int = 400
    sft_rate: float = 0.5
    steps: int = 300
    reward_rate: float = 0.1


@dataclass(frozen=True)
class Lazy:
    """The frozen-kernel flow of the pair (z_w, z_l): a = ‖φ̃_w‖², c = ⟨φ̃_w, φ̃_l⟩, d = ‖φ̃_l‖² of centred features."""

    bound: str
    horizon: float
    a: float = 1.0
    c: float = 3.0
    d: float = 10.0
    beta: float = 1.0


@dataclass(frozen=True)
class EffectiveSampleSize:
    """ESS/M of the optimal critic's weights on M negatives of a Gaussian law."""

    dim: int
    negatives: int
    repeats: int
    nats: tuple[float, ...]


@dataclass(frozen=True)
class GradientVariance:
    """Covariance of minibatch gradients at the optimal critic, N positives and N independent negatives."""

    bounds: tuple[str, ...]
    dim: int
    batch: int
    repeats: int
    nats: tuple[float, ...]


@dataclass(frozen=True)
class Estimate:
    """One call of `estimate_mi` on a law of known information, seen plainly or through invertible maps.

    Attributes:
        nats, dim, rows: the Gaussian law and how many rows of it.
        transform: a key of `gaussian.TRANSFORMS`.
        estimator, steps: as `estimate_mi` has them; fewer steps than its default, to be done in seconds.
    """

    nats: float
    dim: int
    rows: int
    estimator: str = "js"
    transform: str = "none"
    steps: int = 100


_EPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_NATS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)

ESCAPE: tuple[object, ...] = (
    EscapeFlow("rlhf", _EPS),
    EscapeFlow("sft", _EPS),
    EscapeFlow("dpo", _EPS, betas=(0.1, 0.5, 1.0)),
    EscapeFlow("mio", _EPS, betas=(0.2, 1.0, 2.0)),
    EscapeFlow("mio", _EPS, betas=(0.2, 1.0), mix=0.9),
    EscapeFlow("mio", _EPS, betas=(0.2, 1.0), mix=None),
    EscapeFlow("drawn_dv", _EPS),
    EscapeFlow("drawn_js", _EPS),
    *(EscapeSampled(_EPS, n, learning_rate=rate) for n in (8, 64) for rate in (0.5, 2.0 * n)),
    *(EscapeSampled(_EPS[:3], n, every_step=True) for n in (8, 64)),
    *(EscapeSampled(_EPS, 64, bound) for bound in ("dv", "js")),
    WhoSamples(_EPS),
    MioLift(2, (0.3, 0.1, *_EPS[1:]), betas=(0.2, 1.0, 2.0)),
    MioLift(5, (0.3, 0.1, *_EPS[1:]), betas=(0.2, 1.0, 2.0)),
)
COLLAPSE: tuple[object, ...] = (
    Collapse(),
    Collapse(betas=(0.1,), activation="relu"),
    Collapse(betas=(0.1,), pairs="exclusive"),
    Collapse(betas=(0.1,), policy="tabular"),
    Lazy("dv", horizon=1e5),
    Lazy("js", horizon=1e5),
)
STARVATION: tuple[object, ...] = (
    EffectiveSampleSize(1, 100, 64, _NATS),
    EffectiveSampleSize(1, 10_000, 16, _NATS),
    EffectiveSampleSize(1, 100_000, 8, _NATS),
    EffectiveSampleSize(5, 10_000, 16, _NATS),
    EffectiveSampleSize(20, 10_000, 8, _NATS),
    GradientVariance(("dv", "nwj", "js"), 20, 64, 500, _NATS),
)
ESTIMATE: tuple[object, ...] = (
    Estimate(1.0, 2, 2000),
    Estimate(1.0, 2, 2000, transform="half-cube, tanh"),
)
QUICK: dict[str, tuple[object, ...]] = {
    "escape": (
        EscapeFlow("rlhf", _EPS[:4]),
        EscapeFlow("sft", _EPS[:4]),
        EscapeFlow("dpo", _EPS[:4], betas=(0.1, 1.0)),
        EscapeFlow("mio", _EPS[:4], betas=(0.2, 2.0)),
        EscapeFlow("mio", _EPS[:4], betas=(1.0,), mix=None),
        EscapeFlow("drawn_dv", _EPS[:4]),
        EscapeFlow("drawn_js", _EPS[:4]),
        EscapeSampled(_EPS[:4], 8, replicas=8),
        EscapeSampled(_EPS[:4], 8, learning_rate=16.0, replicas=8),
        EscapeSampled(_EPS[:2], 8, replicas=8, every_step=True),
        *(EscapeSampled(_EPS[:4], 64, bound, replicas=8) for bound in ("dv", "js")),
        WhoSamples(_EPS[:4], groups=256),
        MioLift(2, _EPS[:3], betas=(1.0,)),
        MioLift(5, _EPS[:3], betas=(1.0,)),
    ),
    "collapse": (
        Collapse(betas=(0.1,), prompts=8, replicas=4, sft_steps=100, steps=60),
        Lazy("dv", horizon=1e2),
        Lazy("js", horizon=1e1),
    ),
    "starvation": (
        EffectiveSampleSize(1, 1000, 4, _NATS[:3]),
        GradientVariance(("dv", "nwj", "js"), 2, 32, 50, _NATS[:3]),
    ),
    "estimate": (Estimate(1.0, 1, 400),),
}
"""A suite of seconds that reaches every line of code and every section of the report; its numbers are rough."""
