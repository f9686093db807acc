# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # DV, NWJ and the shift; what MINE's gradient gets wrong
#
# Two lower bounds of $I = \mathrm{KL}(P\|Q)$ differ in one number, the **level** of the critic. Donsker–Varadhan divides that level out, by a mean
# over the negatives; on a minibatch this one division biases its value *and* its gradient, and a critic trained on the wrong gradient can run away.
# MINE's moving average is the cure, and it has a price of its own.
#
# $$\mathrm{DV}(T) = \mathbb E_P T - \ln \mathbb E_Q e^{T}, \qquad \mathrm{NWJ}(T) = 1 + \mathbb E_P T - \mathbb E_Q e^{T}, \qquad Z = \mathbb E_Q e^{T}.$$
#
# Everything below is exact: laws are finite, all minibatches are enumerated, and only section 4 draws samples. The theorems are in
# [THEOREMS.md](../docs/THEOREMS.md) with their proofs; `python -m proofs SLUG` checks one.

# %%
import math

import matplotlib.pyplot as plt
import torch

import mi_estimators as mi
from proofs.engine import oracles
from toy.models.two_level import TwoLevel, batches, log_shares

plt.style.use("tour.mplstyle")
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## 1. The level of the critic
#
# Add a constant to every score: nothing is learnt or forgotten about which pairs belong together. DV does not notice. NWJ does, and is right at one level only; DV is NWJ with the level
# chosen for you.
#
# **Theorem [`dv_representation`](../docs/THEOREMS.md#dv_representation).** *Assumes $P \ll Q$ on one finite set and $T$ finite on the support of $Q$.*
# With $dQ_T \propto e^{T} dQ$, $\;I - \mathrm{DV}(T) = \mathrm{KL}(P\|Q_T) \ge 0$, and DV does not change under $T \to T + c$.
#
# **Theorem [`dv_shift_nwj`](../docs/THEOREMS.md#dv_shift_nwj).** *Assumes $\mathbb E_P|T| < \infty$, $0 < Z < \infty$, the same $T$ in both.*
# $\mathrm{DV}(T) = \max_c \mathrm{NWJ}(T + c)$, attained at $c = -\ln Z$ only; at $c = 0$ NWJ is lower by $Z - 1 - \ln Z$.
#
# **Theorem [`nwj_gap`](../docs/THEOREMS.md#nwj_gap).** *Same assumptions; on samples, each positive has the law $P$, each negative the law $Q$, and $T$ depends on
# none of them.* $\;I - \mathrm{NWJ}(T) = \mathrm{KL}(P\|Q_T) + (Z - 1 - \ln Z)$: what DV misses plus what the best shift would gain. On samples NWJ is unbiased.

# %% tags=["hide-input"]
table = [[0.30, 0.05, 0.05], [0.02, 0.30, 0.28]]
law = mi.laws.Finite(torch.tensor(table).log())
wrong = torch.tensor([[1.2, -0.4, -1.0], [-1.5, 0.6, 0.2]])  # a critic of the right tendency
best = -mi.log_mean_exp(wrong.flatten(), law.log_product.flatten())
shifts, scales = torch.linspace(-1.5, 1.5, 121), torch.linspace(-0.3, 2.2, 126)
families = (
    (shifts, wrong + shifts[:, None, None]),
    (scales, scales[:, None, None] * law.log_ratio_matrix),
)
figure, axes = plt.subplots(1, 2, sharey=True)
for axis, (grid, critics) in zip(axes, families, strict=True):
    dv, nwj = law.exact(mi.dv, critics), law.exact(mi.nwj, critics)
    axis.axhline(law.mutual_information, color="C6", linestyle="--", label="I(X; Y)")
    axis.plot(grid, dv, color="C0", label="DV")
    axis.plot(grid, nwj, color="C1", label="NWJ")
    axis.fill_between(grid, dv, law.mutual_information, color="C0", alpha=0.25, label="KL(P‖Q_T)")
    axis.fill_between(grid, nwj, dv, color="C1", alpha=0.25, label="Z − 1 − ln Z")
axes[0].axvline(best, color="C6", linestyle=":")
axes[0].set(
    xlabel="c in T + c, T a wrong critic (dotted: −ln Z)", ylabel="value (nats)", ylim=(-0.6, 0.45)
)
axes[1].set(xlabel="s in T = s · ln dP/dQ")
axes[1].legend(loc="lower center")
plt.show()

# %% [markdown]
# *DV and NWJ, exact, on a law of 2 × 3 values. Left: a wrong critic is shifted. DV does not move; NWJ touches it at one shift, −ln Z. Right: the log-ratio is
# scaled. Both are tight at s = 1. Blue: the part of the gap that the critic's shape costs; ochre: the part that its level costs, which only NWJ pays.*

# %%
flat, p, q = (
    law.exact(mi.dv, families[0][1]),
    oracles.flat(table),
    oracles.flat(oracles.independent(table)),
)
assert (flat - flat[0]).abs().max() < 1e-12
assert (
    abs(law.exact(mi.nwj, wrong + best) - flat[0])
    < 1e-12
    < flat[0] - law.exact(mi.nwj, wrong + best + 0.1)
)
for critic in torch.cat([critics[::10] for _, critics in families]):
    scores = critic.flatten().tolist()
    shape, z = (
        oracles.kl(p, oracles.tilted(q, scores)),
        math.exp(oracles.log_mean_exp(q, scores)),
    )  # by brute force
    assert abs(law.mutual_information - law.exact(mi.dv, critic) - shape) < 1e-9
    assert (
        abs(law.mutual_information - law.exact(mi.nwj, critic) - shape - (z - 1 - math.log(z)))
        < 1e-9
    )

# %% [markdown]
# ## 2. The value on a minibatch
#
# Now the mean over $Q$ is a mean $\hat Z$ over $M$ negatives. The logarithm is concave, so the division errs one way.
#
# **Theorem [`dv_minibatch_bias`](../docs/THEOREMS.md#dv_minibatch_bias).** *Assumes a critic fixed beforehand and negatives of law $Q$; from the second claim on
# i.i.d.; for the third a critic that is bounded below.* With $B_M = \mathbb E\,\mathrm{DV}_M - \mathrm{DV}$:
# $\;B_M \ge 0$, $\;B_{M+1} \le B_M$, $\;B_M = \mathrm{Var}_Q(e^T)/(2MZ^2) + O(M^{-2})$.
#
# **Theorem [`dv_bias_ratio`](../docs/THEOREMS.md#dv_bias_ratio).** *Assumes i.i.d. negatives; $e^T$ is $1 + d$, $d > 0$, with $Q$-mass $\varepsilon$ and 1
# otherwise.* With $y = d/M$, $B_M$ is more than $2\varphi(1+y) = 2(y - \ln(1 + y))/y^2$ of its leading term, and tends to just that as $\varepsilon \to 0$: for a
# rare heavy region the term is far too large. Elsewhere it may be too small.
#
# The law: $y$ copies $x$ with probability 0.9, else it is drawn anew from $K$ equally likely symbols. Then $\ln dP/dQ$ takes two values, on the
# region $A = \{x = y\}$ of mass $\varepsilon = 1/K$ and off it. A minibatch is a count of hits in $A$, and all of them can be enumerated.


# %% tags=["hide-input"]
def mean_value(
    bound, law, critic, size
):  # over all minibatches of `size` negatives; positives exact
    log_q, chance = batches(size, law.region)
    return chance @ bound(critic, critic.expand_as(log_q), law.log_p, log_q)


sizes = torch.tensor([2**k for k in range(1, 12)])
fixed, y = torch.tensor([math.log1p(100), 0.0]), 100 / sizes  # a critic of d = 100
lowest = 2 * (y - y.log1p()) / y**2
figure, axes = plt.subplots(1, 2)
for symbols, colour in ((4, "C0"), (64, "C1"), (4096, "C2")):
    copied = TwoLevel(symbols, 0.9)
    for axis, grid, critic in zip(axes, (sizes, y), (copied.log_ratio, fixed), strict=True):
        at_law = mi.dv(critic, critic, copied.log_p, copied.log_q)
        bias = torch.stack([mean_value(mi.dv, copied, critic, int(m)) for m in sizes]) - at_law
        squares = 1 / (
            1 - mi.starvation_index(critic, copied.log_q)
        )  # E_Q e^{2T}/Z² = 1/(share of ESS)
        leading = (squares - 1) / (2 * sizes)
        assert ((bias[:-1] > bias[1:]) & (bias[1:] > 0)).all()
        axis.loglog(
            grid,
            bias if axis is axes[0] else bias / leading,
            "o",
            color=colour,
            label=f"K = {symbols}",
        )
    axes[0].loglog(sizes, copied.chi2 / (2 * sizes), "--", color=colour, linewidth=1)
    assert (bias / leading > lowest).all()
axes[1].loglog(y, lowest, color="C6", linewidth=1, label="2φ(1 + y)")
axes[0].set(
    xlabel="M, negatives in the minibatch", ylabel="bias of DV's value (nats)", ylim=(1e-4, 200)
)
axes[1].set(xlabel="y = d/M", ylabel="bias / leading term")
axes[1].legend()
plt.show()

# %% [markdown]
# *Bias of DV's value over all minibatches, for K symbols, copied with probability 0.9. Left: at the exact log-ratio; points are exact, dashed lines the leading term χ²/2M. Until M passes the number of
# symbols the bias is a large part of the information itself, and the leading term says little. Right: the bias as a share of its leading term, at a critic with
# d = 100. No point lies below 2φ(1 + y); the rarest region is on it; with a common one the leading term is too small at few negatives.*

# %%
assert (bias / leading / lowest).max() < 1.05  # K = 4096, close to the limit ε → 0
assert (
    abs(mean_value(mi.nwj, copied, copied.log_ratio, 2) - copied.mutual_information) < 1e-9
)  # NWJ: no bias

# %% [markdown]
# ## 3. The gradient on a minibatch
#
# A step in training divides by a mean that the same few negatives have made. When they miss the pairs that count, the divisor is too small, and the step is not the gradient of DV.
#
# MINE ascends $\hat g = \frac1N \sum \nabla T_i - \frac1M \sum e^{T_j}\nabla T_j / \bar Z$, with $\bar Z = (1-s)\,z + s \hat Z$: $z$ is the moving average of past
# batches and $s = 1 - \text{decay}$. At $s = 1$ this is the gradient of DV on the minibatch.
#
# **Theorem [`mine_gradient_bias`](../docs/THEOREMS.md#mine_gradient_bias).** *Assumes i.i.d. negatives, a critic that does not depend on this batch and is bounded
# below, $0 < Z < \infty$; for (b) an exact past average, $z = Z$.* (a) $\hat g$ is the gradient of $\mathrm{NWJ}(T - \ln \bar Z)$ with $\bar Z$ held fixed.
# (b) With $x = e^T/Z$ and $\bar g = \mathbb E_Q[x \nabla T] = \nabla \ln Z$,
# $$\mathbb E \hat g - g = \frac sM \bigl(\tfrac12 \nabla \mathrm{Var}_Q(x) + (1-s)\,\mathrm{Var}_Q(x)\,\bar g\bigr) + O(M^{-3/2}).$$
# (c) At $s = 1$, $\mathbb E\hat g$ is the gradient of $\mathbb E\,\mathrm{DV}_M$: an unbiased step for the wrong objective.
#
# That objective need not even have a maximum. All $M$ negatives miss $A$ with probability $(1-\varepsilon)^M$
# ([`missed_mass`](../docs/THEOREMS.md#missed_mass)), and then nothing holds the critic down on $A$: if $P(A) > 1 - (1-\varepsilon)^M$ it pays to raise it for ever.


# %% tags=["hide-input"]
def gradient(value, critic):
    critic = critic.clone().requires_grad_()
    return torch.autograd.grad(value(critic), critic)[0]


def mean_step(
    law, critic, size, decay, lag=0.0
):  # of mi.mine, over all minibatches; past average ln z = ln Z + lag
    log_q, chance = batches(size, law.region)
    past = (mi.log_mean_exp(critic, law.log_q) + lag).expand_as(chance)
    return gradient(
        lambda t: chance @ mi.mine(t, t.expand_as(log_q), past, decay, law.log_p, log_q)[0], critic
    )


law, rivals = (
    TwoLevel(16, 0.8),
    {"DV": (0.0, "C0"), "MINE, decay 0.9": (0.9, "C5"), "MINE, decay 0.99": (0.99, "C2")},
)
half, top = law.log_ratio / 2, float(law.log_ratio[0] - law.log_ratio[1])
rising = torch.stack([torch.linspace(0, 9, 46), torch.zeros(46)], 1)  # critics: T on A, T off A
g = gradient(lambda t: mi.dv(t, t, law.log_p, law.log_q), half)
mean_x = gradient(lambda t: mi.log_mean_exp(t, law.log_q), half)  # ḡ
spread = 1 / (1 - mi.starvation_index(half, law.log_q)) - 1  # Var_Q(x); next half its gradient
leading = gradient(lambda t: 0.5 / (1 - mi.starvation_index(t, law.log_q)), half)
figure, axes = plt.subplots(1, 2)
for name, (decay, colour) in rivals.items():
    bias = torch.stack([mean_step(law, half, int(m), decay) - g for m in sizes])
    first = (1 - decay) * (leading + decay * spread * mean_x)
    axes[0].loglog(sizes, bias.norm(dim=1) / g.norm(), "o", color=colour, label=name)
    axes[0].loglog(sizes, first.norm() / g.norm() / sizes, "--", color=colour, linewidth=1)
    assert (bias[-1] * sizes[-1] - first).norm() < 0.01 * first.norm()
    up = torch.stack([mean_step(law, critic, 16, decay)[0] for critic in rising])
    axes[1].plot(rising[:, 0], up, color=colour)
    assert bool((up > 0).all()) == (
        name == "DV"
    )  # at 16 negatives the mean step of DV never turns round
axes[0].set(xlabel="M, negatives in the minibatch", ylabel="relative bias of the gradient")
axes[1].set(
    xlabel="height of the critic, T on A − T off A (nats)", ylabel="mean step of T on A, M = 16"
)
axes[0].legend()
axes[1].axvline(top, color="C6", linestyle=":")
plt.show()

# %% [markdown]
# *Left: distance of the mean step from the gradient of DV at a half-trained critic, over all minibatches; dashed: the first order of (b). MINE divides the bias
# by about 1/s. Right: mean step at 16 negatives as the critic on A rises; dotted: the height of ln dP/dQ, where the exact gradient is 0. MINE's steps turn round
# near it. DV's never do: the critic would rise without end. K = 16, copied with probability 0.8; past average exact.*

# %%
assert law.hit > 1 - (1 - law.region) ** 16  # the condition of the text

# %% [markdown]
# ## 4. What the moving average buys, and what it costs
#
# So train: 100 critics by plain gradient steps, each on 16 fresh negatives (positives exact, so that the division is all that differs). Now the past average is
# neither exact nor independent of the critic: (b) does not cover this, and the simulation says what is left of it.
#
# The price is in (a). The longer the memory, the closer $\bar Z$ is to $z$, and where the critic has moved since, $z \ne Z$: the mean step is then the gradient of
# NWJ at the wrong shift, whatever $M$ is. That gradient is not wrong about the target, as NWJ is tight at $\ln dP/dQ$ too; but it is not DV's.

# %% tags=["hide-input"]
generator, paths, lags = torch.Generator().manual_seed(0), {}, torch.linspace(-1.5, 1.5, 61)
figure, axes = plt.subplots(1, 2)
for name, (decay, colour) in rivals.items():
    critics, past, paths[name] = torch.zeros(100, 2), None, []
    for _ in range(800):
        hits = torch.binomial(
            torch.full((100,), 16.0), torch.full((100,), law.region), generator=generator
        )
        t = critics.requires_grad_()
        value, past = mi.mine(t, t, past, decay, law.log_p.expand(100, 2), log_shares(hits, 16))
        critics = (t + 0.1 * torch.autograd.grad(value.sum(), t)[0]).detach()
        paths[name].append(critics[:, 0] - critics[:, 1])
    low, middle, high = torch.stack(paths[name]).quantile(torch.tensor([0.1, 0.5, 0.9]), dim=1)
    axes[0].plot(middle, color=colour, label=name)
    axes[0].fill_between(range(800), low, high, color=colour, alpha=0.25, linewidth=0)
    stale = torch.stack([mean_step(law, half, 64, decay, lag) for lag in lags])
    axes[1].plot(lags, (stale - g).norm(dim=1) / g.norm(), color=colour)
log_z = mi.log_mean_exp(half, law.log_q)
nwj = torch.stack(
    [
        gradient(lambda t, c=c: mi.nwj(t - c, t - c, law.log_p, law.log_q), half)
        for c in log_z + lags
    ]
)
axes[1].plot(
    lags, (nwj - g).norm(dim=1) / g.norm(), color="C1", linestyle="--", label="NWJ(T − ln z)"
)
axes[0].axhline(top, color="C6", linestyle=":")
axes[0].set(xlabel="step", ylabel="height of the critic (nats)", ylim=(0, 9))
axes[1].set(
    xlabel="lag ln(z/Z) of the moving average", ylabel="relative bias of the gradient", ylim=(0, 1)
)
for axis in axes:
    axis.legend()
plt.show()

# %% [markdown]
# *Left: height of 100 critics trained on 16 negatives a step, median and the middle 80 %; dotted: ln dP/dQ. DV's rise for ever, MINE's stop near the log-ratio; the
# shorter memory stops a little too high. Right: relative bias of the mean step at 64 negatives when the past average lags: a long memory is as wrong as NWJ at that
# shift, DV has no memory and keeps its own bias.*

# %%
end = {name: float(path[-1].median()) for name, path in paths.items()}
assert end["DV"] > top + 5
assert abs(end["MINE, decay 0.99"] - top) < 0.1 < end["MINE, decay 0.9"] - top + 0.1 < 0.4
assert (mean_step(law, half, 2, 1 - 1e-12, lags[-1]) - nwj[-1]).norm() < 1e-9  # (a), at 2 negatives
