# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # MIO: anchor, floor, no collapse, and where it starves
#
# DPO is the Donsker–Varadhan bound on half-mixed pairs (notebook 04). Put the Jensen–Shannon bound in its place and the loss is MIO (Lv et al. 2025), which
# is not new: it is pairwise NCA (Chen et al. 2024). What the reading as a bound gives is why it helps, and where it does not. The cure is an **anchor**,
# and the anchor has its own way to starve.
#
# Notation: $u = \beta z_w$ and $v = \beta z_l$ are the rewards of the chosen and the rejected response, $z = \ln \pi/\pi_{\mathrm{ref}}$;
# $\mathrm{sp}(t) = \ln(1 + e^t)$; for a mix $\alpha$ in (0, 1)
#
# $$L_\alpha(u, v) = \mathrm{sp}(-u) + (1 - \alpha)\,\mathrm{sp}(u) + \alpha\,\mathrm{sp}(v), \qquad \text{MIO: } \alpha = \tfrac12.$$
#
# All in nats, time in units of learning rate × step. Names in code font are theorems in [docs/THEOREMS.md](../docs/THEOREMS.md).

# %%
import math

import matplotlib.pyplot as plt
import torch

# %%
import mi_estimators as mi
from mi_estimators import theory
from proofs.engine import oracles
from proofs.engine.theorem import decide
from proofs.theorems.dynamics import (
    alpha_frees_the_anchor,
    lazy_flow_collapse,
    mio_barrier,
    mio_tabular_limit,
)
from proofs.theorems.preference import mio_no_collapse
from toy.models.flows import ascent, integrate
from toy.models.policies import OBJECTIVES, arms

# %% tags=["hide-input"]
torch.set_default_dtype(torch.float64)
plt.style.use("tour.mplstyle")
random, start = torch.Generator().manual_seed(0), 2 * math.log(2)

# %% [markdown]
# ## 1. A JS bound, known as NCA: start and floor
#
# A run's loss means something only against where it starts and how low it can go. DPO's can go to 0; this one cannot, and how far it can depends on how much the two kinds of answers overlap.
#
# Theorem [`nca_equals_mio`](../docs/THEOREMS.md#nca_equals_mio): $-\ln\sigma(u) - \tfrac12 \ln\sigma(-u) - \tfrac12 \ln\sigma(-v) = L_{1/2}(u, v)$, term by
# term. Theorems [`mio_is_half_mixed_js`](../docs/THEOREMS.md#mio_is_half_mixed_js) and [`mio_loss_floor`](../docs/THEOREMS.md#mio_loss_floor): with $P$ and
# $R$ the laws of the chosen and the rejected response and $Q_\alpha = (1 - \alpha) P + \alpha R$,
#
# $$L_\alpha(0, 0) = 2 \ln 2, \qquad \inf \mathbb E L_\alpha = 2 \ln 2 - 2\,\mathrm{JSD}(P, Q_\alpha) \;\ge\;
# (2 - \alpha)\ln(2 - \alpha) - (1 - \alpha)\ln(1 - \alpha),$$
#
# reached at the scores $\ln dP/dQ_\alpha$ where $P$ and $R$ have mass everywhere. *Assumptions:* one prompt, finitely many responses, one finite score for each, free of the others (a policy's
# are tied by $\sum \pi = 1$). Equality on the right iff $P$ and $R$ share no response.

# %% tags=["hide-input"]
mixes, P, R = torch.linspace(0.02, 0.98, 25), torch.tensor([0.8, 0.2]), torch.tensor([0.2, 0.8])
reached, floor = [], [mi.preference_loss_floor(mix) for mix in mixes.tolist()]
for mix in mixes.tolist():
    mixed = (1 - mix) * P + mix * R
    best = (P / mixed).log()[:, None]  # ln dP/dQ_α
    losses = mi.preference_loss(*torch.broadcast_tensors(best, best.mT), "js", mix)
    reached.append(mi.mean(losses.flatten(), (P[:, None] * R).log().flatten()).item())
    assert abs(reached[-1] - (start - 2 * oracles.jsd(P.tolist(), mixed.tolist()))) < 1e-12
figure, axis = plt.subplots(figsize=(7, 3.6))
axis.axhline(start, color="C6", linestyle=":", label="start, 2 ln 2")
axis.plot(mixes, reached, "C2o-", label="infimum, P = (.8, .2), R = (.2, .8)")
axis.plot(mixes, floor, "C3", label="floor, no response in common")
axis.set(xlabel="mix α", ylabel="loss (nats)")
axis.legend()
plt.show()

# %% [markdown]
# *The loss of the JS family by its mix α. Every mix starts at 2 ln 2; what can be gained is twice a Jensen–Shannon divergence, reached by the log-ratio of
# the mixed law. Where chosen and rejected responses overlap (pink) little can be gained; where they do not (green) MIO, at ½, can fall to 0.955. A loss
# that stays high is no sign of a failure, and DPO's, whose floor is 0, cannot be compared with it.*

# %%
u, v = torch.randn(2, 200, generator=random) * 4
nca = torch.tensor([oracles.nca_pair(*pair) for pair in zip(u.tolist(), v.tolist(), strict=True)])
assert (mi.preference_loss(u, v, "js", 0.5) - nca).abs().max() < 1e-12
assert (
    abs(floor[12] - start + 2 * oracles.jsd((1, 0), (0.5, 0.5))) < 1e-12
)  # mix ½, no response in common

# %% [markdown]
# ## 2. What DPO leaves flat, MIO anchors
#
# DPO's loss is a valley with a level floor: push both rewards down by the same amount and it does not change. MIO's has a bottom.
#
# Theorem [`dpo_flat_direction`](../docs/THEOREMS.md#dpo_flat_direction): DPO's loss does not change along (1, 1), its Hessian has rank 1; $L_\alpha$ is
# strictly convex, with the Hessian $\mathrm{diag}\bigl((2 - \alpha)\,\sigma'(u),\ \alpha\,\sigma'(v)\bigr)$ in the rewards. Theorem
# [`mio_anchor`](../docs/THEOREMS.md#mio_anchor):
#
# $$\arg\min_u \bigl[\mathrm{sp}(-u) + (1 - \alpha)\,\mathrm{sp}(u)\bigr] = -\ln(1 - \alpha), \qquad \text{MIO: } \ln 2.$$
#
# *Assumptions:* finite log-ratios, derivatives in the log-ratios of one pair, free of each other.

# %% tags=["hide-input"]
ticks = torch.linspace(-4, 4, 81)
u, v = torch.meshgrid(ticks, ticks, indexing="ij")
figure, axes = plt.subplots(1, 2, sharey=True)
for axis, bound, name, colour in ((axes[0], "dv", "DPO", "C0"), (axes[1], "js", "MIO", "C2")):
    lines = axis.contour(
        ticks, ticks, mi.preference_loss(u, v, bound).mT, 12, colors=colour, linewidths=1.2
    )
    axis.clabel(lines, fontsize=8)
    axis.plot(0, 0, "C6o")
    axis.set(xlabel="u, chosen reward", ylabel="v, rejected reward", title=name)
axes[1].axvline(mi.preference_anchor(0.5), color="C6", linestyle="--")
plt.show()

# %% [markdown]
# *Level lines of the two losses in the plane of the rewards; training starts at the dot. DPO's run along (1, 1): both rewards may sink together at no cost.
# MIO's close around the dashed line, the chosen reward's anchor ln 2, whatever the rejected one does. A logged chosen reward near 0.693 is a plateau.*

# %%
for bound, rank in (("dv", 1), ("js", 2)):
    hessian = torch.autograd.functional.hessian(
        lambda z, b=bound: mi.preference_loss(*z, b), torch.tensor([0.7, -1.3])
    )
    assert torch.linalg.matrix_rank(hessian, atol=1e-9) == rank
assert (
    abs(
        ticks[mi.preference_loss(ticks, torch.zeros(81), "js").argmin()] - mi.preference_anchor(0.5)
    )
    <= 0.05
)

# %% [markdown]
# ## 3. No collapse, for any model and any optimiser
#
# If the chosen reward were far off, the loss would be above its start. So a run whose loss has not risen has its mean chosen reward in an interval, whatever moved it.
#
# Theorem [`mio_no_collapse`](../docs/THEOREMS.md#mio_no_collapse) (certified), by Jensen's inequality:
#
# $$\mathbb E L_\alpha \le 2 \ln 2 \;\Longrightarrow\; u_- < \mathbb E u < u_+, \qquad \mathrm{sp}(-u_\pm) + (1 - \alpha)\,\mathrm{sp}(u_\pm) = 2 \ln 2.$$
#
# *Assumptions:* the mean loss has not risen above its start; the means of loss and reward are over the same data. A claim about the mean: single
# responses may sink further. DPO has no such interval. In nats of $z_w$ it is divided by $\beta$: at $\beta = 0.2$, $(-4.27, 12.73)$. It is a safety net, and
# tells two runs apart only where one of them leaves it.

# %% tags=["hide-input"]
centre, spread = (
    4 * torch.randn(2, 6000, 1, generator=random),
    2 * torch.rand(6000, 1, generator=random),
)
u, v = centre + spread * torch.randn(2, 6000, 8, generator=random)  # 6000 batches of 8 pairs
low, high = mi.no_collapse_interval(0.5)
figure, axes = plt.subplots(1, 2, sharey=True)
means = {}
for axis, bound, name, colour in ((axes[0], "dv", "DPO", "C0"), (axes[1], "js", "MIO", "C2")):
    loss = mi.preference_loss(u, v, bound).mean(-1)
    begun = loss <= (start if bound == "js" else math.log(2))
    means[bound] = u[begun]
    axis.plot(loss[begun], u.mean(-1)[begun], colour + ".", markersize=2.5)
    axis.set(xlabel="mean loss (nats)", ylabel="mean chosen reward", title=name, ylim=(-11, 11))
level = mi.preference_loss(ticks, torch.full_like(ticks, -40.0), "js")
axes[1].plot(level[level < start], ticks[level < start], "C6")
axes[1].axhspan(low, high, color="C6", alpha=0.25)
plt.show()

# %% [markdown]
# *Random batches of 8 pairs, those of 6000 whose mean loss is at most its value at the start. Left: at any DPO loss the mean chosen reward may be anywhere.
# Right: MIO's is in the interval [−0.855, 2.546] (shaded), and within the grey curve at a smaller loss.*

# %%
assert ((means["js"].mean(-1) > low) & (means["js"].mean(-1) < high)).all()
assert means["js"].min() < low < high < means["js"].max()  # single responses do leave it
assert means["dv"].mean(-1).min() < -8

# %% [markdown]
# ## 4. A frozen kernel: MIO bounds the decline and reverses it
#
# Two answers that share words share gradients: to push one down takes the other along. With shared parts that outweigh the chosen answer's own, both losses first lower it. DPO goes on; MIO turns.
#
# Let the log-ratios of one pair follow $\dot z = -K \nabla L$ with a constant kernel $K = \begin{pmatrix} a & c \\ c & d \end{pmatrix}$ from 0 (log-linear
# policy, frozen features). Theorem [`lazy_flow_collapse`](../docs/THEOREMS.md#lazy_flow_collapse):
#
# $$z_w^{\mathrm{DPO}} = \frac{a - c}{a - 2c + d}\,(z_w - z_l) \to -\infty \iff c > a, \qquad \beta z_w^{\mathrm{MIO}} \to \ln 2.$$
#
# Both start downward iff $c > a$. For MIO, $\beta z_w \ge \mathrm{logit}\bigl(\tfrac23 (1 - \tfrac{\kappa}{4})\bigr)$ if $c/a \le \kappa \in [1, 4)$ and
# $z_l \le 0$ all along ([`mio_barrier`](../docs/THEOREMS.md#mio_barrier)); for $a, c, d = 1, 3, 10$ it dips to between −0.281 and −0.280
# ([`mio_dip`](../docs/THEOREMS.md#mio_dip), certified). *Assumptions:* one pair, continuous time, a constant positive definite kernel (the barrier
# allows one that moves).


# %%
def frozen(bound: str, kappa: torch.Tensor, horizon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return times and log-ratios (steps, B, 2) along the flow with a = 1, c = κ, d = κ² + 1 and β = 1."""
    kernel = torch.stack([kappa**0, kappa, kappa, kappa**2 + 1], -1).unflatten(-1, (2, 2))
    down, path = ascent(lambda z: -mi.preference_loss(z[:, :1], z[:, 1:], bound)), []
    follow = {
        "start": torch.zeros(len(kappa), 2),
        "horizon": horizon,
        "observe": lambda *point: path.append(point),
    }
    integrate(lambda z: (kernel @ down(z)[..., None])[..., 0], **follow)
    return torch.stack([time for time, _ in path]), torch.stack([z for _, z in path])


# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2)
paths, kappa = {}, torch.linspace(1, 3.9, 30)
for bound, colour, horizon in (("dv", "C0", 1e5), ("js", "C2", 1e3)):
    time, paths[bound] = frozen(bound, torch.tensor([3.0]), horizon)
    left.semilogx(time[2:], paths[bound][2:, :, 0], colour)
flow = frozen("js", kappa, 30.0)[1]
least = flow[..., 0].amin(0)
levels = torch.tensor([mio_barrier.barrier(0.5, k / 4) for k in kappa.tolist()])
right.plot(kappa, least, "C2", label="least reward under MIO")
right.plot(kappa, levels, "C6", label="proved barrier")
right.axhline(low, color="C6", linestyle="--", label="no collapse")
left.axhline(math.log(2), color="C6", linestyle=":")
left.set(xlabel="time", ylabel="chosen reward", xlim=(0.03, 2e5), title="a, c, d = 1, 3, 10")
right.set(xlabel="κ = c/a", title="depth of the dip, a = 1, d = κ² + 1", ylim=(-2, 0.1))
right.legend()
plt.show()

# %% [markdown]
# *Left: the chosen reward of one pair under a frozen kernel with c > a, so that pushing the rejected response down drags the chosen one along. DPO's (blue)
# sinks for ever, like a logarithm of time; MIO's (pink) dips to −0.28 and comes back to ln 2 (dotted). Right: the least reward under MIO by κ = c/a, with the
# two proved bounds, both safe and neither tight.*

# %%
dpo, mio = paths["dv"][:, 0], paths["js"][:, 0]
assert -5.25 < dpo[-1, 0] < -5.24
assert (
    dpo[:, 0] + (dpo[:, 0] - dpo[:, 1]) * 2 / 5
).abs().max() < 1e-4  # (a − c)/(a − 2c + d) = −2/5
assert -0.281 < mio[:, 0].min() < -0.280
assert abs(mio[-1, 0] - mi.preference_anchor(0.5)) < 0.02
assert ((least > levels) & (least > low) & (flow[..., 1] <= 0).all(0))[
    1:
].all()  # z_l ≤ 0, as the barrier assumes

# %% [markdown]
# ## 5. Where it starves, and what frees it
#
# An anchor that keeps an answer from falling keeps it from rising, too. For an answer that was rare to begin with it is a ceiling.
#
# In a table of logits with unseen responses the anchor is a **ceiling**. Theorem [`mio_tabular_limit`](../docs/THEOREMS.md#mio_tabular_limit):
#
# $$\pi_w \to \min\bigl(1,\ (1 - \alpha)^{-1/\beta}\, \pi_{\mathrm{ref},w}\bigr) \qquad \bigl(\beta > \tfrac12,\ \text{or the ceiling is at least } 1\bigr),$$
#
# so that in the end MIO has lifted a rare correct answer at most $2^{1/\beta}$-fold (on the way it may be higher). Theorem [`alpha_frees_the_anchor`](../docs/THEOREMS.md#alpha_frees_the_anchor):
# $1 - \alpha \le \varepsilon^\beta$ makes the end 1 for every $\pi_{\mathrm{ref},w} \ge \varepsilon$; the lower end of the no-collapse interval falls by less
# than 0.245 in $\beta z_w$ ($0.245/\beta$ nats of $z_w$), the upper one grows as $2 \ln 2/(1 - \alpha)$. *Assumptions:* one free logit for each response, one pair, exact flow, at least three
# responses for the ceiling. At $\beta \le \tfrac12$ the end may be 1 in spite of a lower ceiling.

# %% tags=["hide-input"]
eps = torch.logspace(-3, math.log10(0.4), 12)
figure, (left, right) = plt.subplots(1, 2)
for beta, colour in ((1.0, "C2"), (0.6, "C5")):
    for mix, style in ((0.5, "o"), (1 - 1e-3**beta, "s")):
        field = ascent(OBJECTIVES["mio"](arms(eps, 5), torch.full_like(eps, beta), mix))
        end = integrate(field, arms(eps, 5), 200 / (beta**2 * (1 - mix))).state.softmax(-1)[:, 0]
        ceiling = torch.tensor([theory.mio_ceiling(e, beta, mix) for e in eps.tolist()])
        left.loglog(eps, end, colour + style, label=f"β = {beta:g}, α = {mix:.3g}")
        left.loglog(eps, ceiling, colour)
        assert (end / ceiling - 1).abs().max() < 0.05
rest = torch.logspace(-3, -0.31, 40)  # 1 − α
ends = torch.tensor([mi.no_collapse_interval(1 - x) for x in rest.tolist()])
right.semilogx(rest, ends[:, 0], "C3", rest, ends[:, 1] * rest, "C3--")
left.set(
    xlabel="ε, base probability of the chosen response",
    ylabel="its probability in the end",
    title="5 responses",
)
right.set(
    xlabel="1 − α", ylabel="nats", title="no-collapse interval: lower end, upper end × (1 − α)"
)
left.legend()
plt.show()

# %% [markdown]
# *Left: where the exact flow ends with 5 responses (points; lines: the ceiling). MIO (α = ½, circles) lifts a rare answer 2^(1/β)-fold and no further; with
# 1 − α = 0.001^β (squares) every answer down to ε = 0.001 ends at 1. Right: the price. As 1 − α shrinks the lower end of the no-collapse interval
# (solid) falls from −0.855 to −ln 3 at most, and the upper one grows like 2 ln 2/(1 − α) (dashed: its product with 1 − α): the mean chosen reward is held
# from below almost as before, and hardly from above.*

# %%
assert (
    (ends[:, 0] > -math.log(3)) & (ends[:, 0] > low - 0.245) & (ends[:, 1] * rest < start + 1e-9)
).all()
base = torch.tensor(
    [[0.02, 0.9799, 0.0001]]
).log()  # β = ¼, ceiling 0.32: the end is 1 all the same
trap = integrate(
    ascent(OBJECTIVES["mio"](base, torch.tensor([0.25]), 0.5)), base, 1e5
).state.softmax(-1)
assert trap[0, 0] > 0.9 > theory.mio_ceiling(0.02, 0.25)

# %% [markdown]
# ## 6. One change away
#
# Statements one change away from the theorems, which the same machinery must refute, with the witness that it finds.

# %%
picked = {
    mio_no_collapse: 2,
    mio_barrier: 3,
    lazy_flow_collapse: 0,
    mio_tabular_limit: 1,
    alpha_frees_the_anchor: 0,
}
for module, number in picked.items():
    result = decide(module.THEOREM.false_neighbours[number])
    print(f"{module.THEOREM.slug}: “{result.claim.name}”\n    refuted at {result.outcome.witness}")
    assert result.refused

# %% [markdown]
# ## 7. In your own training loop
#
# The loss takes two scores a pair, $\beta \ln \pi/\pi_{\mathrm{ref}}$ of the chosen and of the rejected response, summed over their tokens; a third dimension holds several rejected ones.
# Log two numbers beside it: is the first loss $2 \ln 2$, and is the mean chosen reward inside the interval of section 3?

# %%
logits = torch.zeros(
    64, 9, requires_grad=True
)  # your model in place of a table: 64 prompts, 9 responses
frozen, beta = logits.detach().log_softmax(-1), 0.5  # the reference: a copy that is not trained
optimizer, losses = torch.optim.Adam([logits], lr=0.05), []
for _ in range(300):
    z = logits.log_softmax(-1) - frozen
    loss = mi.preference_loss(beta * z[:, 0], beta * z[:, 1], bound="js", mix=0.5).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
low, high = mi.no_collapse_interval(0.5)
reward = beta * z[:, 0].mean().item()
print(
    f"loss {losses[0]:.3f} → {losses[-1]:.3f}; chosen reward {reward:.2f} of ({low:.2f}, {high:.2f})"
)

# %%
assert abs(losses[0] - start) < 1e-12
assert mi.preference_loss_floor(0.5) <= losses[-1] < losses[0]
assert low < reward < high
