# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The price of a bound
#
# A lower bound of mutual information that is read from samples pays for every nat. InfoNCE pays by a ceiling, NWJ and DV by a variance that grows like $e^{I}$,
# all of them by negatives that carry nothing; and no cleverer bound escapes. What can be had for less is a steady *gradient*, or less information.
#
# Every critic here is the exact one, $T = \ln r$ with $r = dP/dQ$: nothing below is a matter of training. Most of it is enumerated on one family of laws, where $y$
# copies $x$ with probability $w$ and else is drawn anew from $K$ equally likely symbols: $\ln r$ takes one value on the region $A = \{x = y\}$, of $Q$-mass
# $\varepsilon = 1/K$, and one off it. The theorems are in [THEOREMS.md](../docs/THEOREMS.md); `python -m proofs SLUG` checks one.

# %%
import math

import matplotlib.pyplot as plt
import torch

import mi_estimators as mi
from proofs.engine import oracles
from toy.models.two_level import TwoLevel, batches, mean_ess
from toy.variance.run import ExactNoise, exact_noise

plt.style.use("tour.mplstyle")
torch.set_default_dtype(torch.float64)


def show(axes, *labels):
    for axis, (x, y) in zip(axes, labels, strict=True):
        axis.set(xlabel=x, ylabel=y)
        axis.legend()
    plt.show()


# %% [markdown]
# ## 1. InfoNCE pays by a ceiling
#
# To tell one true partner from $K - 1$ others is a question with $K$ answers. Whoever answers it perfectly has shown $\ln K$ nats and no more, however much there is.
#
# **Theorem [`infonce_ceiling`](../docs/THEOREMS.md#infonce_ceiling).** *Assumes finite sets, $T$ real, $(x, y_1) \sim P$, the other candidates i.i.d. from $p(y)$,
# independent of them, and the positive among the $K$ candidates.* $\;I_K = \mathbb E[T(x, y_1) - \ln \frac1K \sum_j e^{T(x, y_j)}] \le \min(I, \ln K)$.
#
# **Theorem [`interpolated_ceiling`](../docs/THEOREMS.md#interpolated_ceiling).** *Assumes the same and a baseline $a(x) > 0$ that does not depend on the sample's
# $y$.* The bound $I_\alpha$ between NWJ ($\alpha = 0$) and InfoNCE ($\alpha = 1$) obeys $I_\alpha \le I$ and, for $0 < \alpha < 1$,
# $I_\alpha < 1 + \ln(K/\alpha)$; this is the least ceiling. The published one, $\ln(K/\alpha)$, is too low.

# %% tags=["hide-input"]
ceilings = {
    1.0: math.log(32),
    0.5: 1 + math.log(64),
    0.05: 1 + math.log(640),
    0.0: math.inf,
}  # of 32 candidates
nats, found, generator = (
    torch.linspace(0.5, 10, 12),
    {a: [] for a in ceilings},
    torch.Generator().manual_seed(0),
)
for level in nats:
    law = mi.laws.Gaussian.with_information(float(level), dim=20)
    x, y = law.sample(100 * 33, generator)
    scores = law.log_ratio(
        x.view(100, 33, 1, 20), y.view(100, 1, 33, 20)
    )  # 100 batches; a row keeps 32 candidates
    for alpha, values in found.items():
        values.append(mi.bounds.interpolated(scores, alpha))
apart = torch.linspace(0, 14, 57)
figure, axes = plt.subplots(1, 2)
for (alpha, ceiling), colour in zip(ceilings.items(), ("C3", "C5", "C4", "C1"), strict=True):
    values = torch.stack(found[alpha])
    mean, spread = values.mean(1), values.std(1)
    axes[0].plot(
        nats,
        mean,
        color=colour,
        label={1.0: "α = 1, InfoNCE", 0.0: "α = 0, NWJ"}.get(alpha, f"α = {alpha}"),
    )
    axes[0].fill_between(nats, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
    assert values.max() < ceiling + 1e-9
    if alpha > 0:
        assert (
            mean < nats + 4 * spread / 10
        ).all()  # four standard errors; NWJ's tail is too heavy for them
        axes[0].axhline(ceiling, color=colour, linestyle=":")
        extreme = mi.bounds.interpolated(apart[:, None, None] * (2 * torch.eye(33) - 1), alpha)
        axes[1].plot(apart, extreme - math.log(32 / alpha), color=colour, label=f"α = {alpha}")
        assert abs(extreme[-1] - ceiling) < 1e-3
axes[0].plot(nats, nats, color="C6", linestyle="--", label="I")
show(
    axes,
    ("I (nats)", "value (nats)"),
    ("L; scores are L on the diagonal, −L off it", "value − ln(K/α)"),
)

# %% [markdown]
# *Left: the bound I_α at the exact log-ratio of 20 Gaussian pairs, mean and one standard deviation of 100 batches with 32 candidates; dotted: the ceilings. Low
# ceilings are steady, high ones noisy, and no ceiling (NWJ) is noisiest: its tail is so heavy that the mean of 100 batches may lie above I. Right: its value at scores that separate perfectly, less ln(K/α). InfoNCE ends at 0;
# every α < 1 ends at 1, above the published ceiling.*

# %%
copying = TwoLevel(4, 0.9).table()
for k in (2, 3, 4):  # I_K exactly, by brute force over all batches
    value = oracles.infonce(copying.log_joint.exp().tolist(), copying.log_ratio_matrix.tolist(), k)
    assert value < min(copying.mutual_information, math.log(k))
assert torch.stack(found[0.5])[nats > 6].mean(1).max() > math.log(64)  # not only at extreme scores

# %% [markdown]
# ## 2. NWJ and DV pay by a variance
#
# A mean of $e^T$ over shuffled pairs rests on the few of them that look real. The more information there is, the rarer they are and the more each of them weighs.
#
# **Theorem [`nwj_variance`](../docs/THEOREMS.md#nwj_variance).** *Assumes $T = \ln r$ exactly, $N$ positives from $P$ and $N$ negatives from $Q$, all independent, and
# finite moments.* $\;N \cdot \mathrm{Var}[\mathrm{NWJ}] = \mathrm{Var}_P(\ln r) + \chi^2(P\|Q)$; for Gaussian pairs that is $d\rho^2 + e^{2I} - 1$.
#
# **Theorem [`song_ermon_variance`](../docs/THEOREMS.md#song_ermon_variance).** *Assumes $T = \ln r$ (for DV up to a constant), $M$ i.i.d. negatives independent of the
# positives; for DV $r$ bounded away from 0 and $\mathbb E_Q r^4 < \infty$.* The negatives' part of the variance, times $M$, is $\chi^2 \ge e^{I} - 1$: for NWJ
# exactly, for DV in the limit $M \to \infty$.

# %% tags=["hide-input"]
spec = ExactNoise(batches=(64,))
measured, theory = exact_noise(
    spec, seed=0
)  # the lab: all batches of 64 positives and 64 negatives, enumerated
noise, trace = (
    {b: 64 * torch.tensor(v)[:, 0] for b, v in measured[name].items()}
    for name in ("variance", "trace")
)
theory = {name: torch.tensor(values) for name, values in theory.items()}
information, shown = (
    theory["nats"],
    {"nwj": "C1", "dv": "C0", "infonce": "C3", "relative": "C4", "js": "C2"},
)
figure, axes = plt.subplots(1, 2)
for bound, colour in shown.items():
    axes[0].semilogy(information, noise[bound], "o", color=colour, label=bound)
axes[0].semilogy(information, theory["nwj"], color="C1", linewidth=1)
axes[0].semilogy(information, information.expm1(), ":", color="C6", label="eᴵ − 1")
for symbols, colour in ((16, "C0"), (128, "C5"), (1024, "C4")):
    law, sizes, tail = TwoLevel(symbols, 0.95), [2**k for k in range(2, 17)], []
    for size in sizes:
        log_q, chance = batches(size, law.region, least=1e-16)
        values = mi.dv(law.log_ratio, law.log_ratio.expand_as(log_q), law.log_p, log_q)
        tail.append(float(size * (chance @ (values - chance @ values) ** 2)) / law.chi2)
    axes[1].semilogx(sizes, tail, "o-", color=colour, label=f"ε = 1/{symbols}")
    assert abs(tail[-1] - 1) < 0.05
show(
    axes,
    ("I (nats)", "N · Var of the value, N = 64"),
    ("M, negatives", "M · Var of DV's ln Ẑ / χ²"),
)

# %% [markdown]
# *Left: N times the variance of each bound's value at ln dP/dQ, over all batches of 64 positives and 64 negatives; line: the theorem's Var_P(ln r) + χ² for NWJ. DV
# lies above it while 64 negatives sometimes find the region A, and below once they hardly ever do: then it is steady and wrong (notebook 02). Right: M times the
# variance of DV's ln Ẑ as a share of its limit χ². The limit is reached only at M ≫ 1/ε; near M = 1/ε the variance is three times as large. The laws: K symbols, copied
# with probability 0.95; relative: DV against Q_α of section 5, α = 0.9.*

# %%
assert (noise["nwj"] - theory["nwj"]).abs().max() < 1e-6
assert (noise["nwj"] > information.expm1()).all()
gaussian = mi.laws.Gaussian(0.6)
assert (
    abs(gaussian.chi2 - 0.5625) + abs(gaussian.mutual_information - math.log(5 / 4)) < 1e-12
)  # e^{2I} − 1

# %% [markdown]
# ## 3. Few negatives carry anything
#
# Count the negatives that matter. Of a thousand shuffled pairs perhaps three carry the average; if none of a thousand does, the batch looks perfectly well, and says nothing.
#
# **Theorem [`ess_law`](../docs/THEOREMS.md#ess_law).** *Assumes $M$ i.i.d. negatives from $Q$, a fixed critic; $T = \ln r + c$ and $\chi^2 < \infty$ for the second
# claim.* DV weighs negatives by $w = \mathrm{softmax}(T)$, and $\mathrm{ESS} = 1/\sum w_j^2$. On average $\mathrm{ESS}/M$ is at least its limit
# $1/(1 + \chi^2) \le e^{-I}$; for Gaussian pairs that is $e^{-2I}$.
#
# **Theorem [`missed_mass`](../docs/THEOREMS.md#missed_mass).** *Assumes $M$ i.i.d. negatives from $Q$ and a region of mass $\varepsilon$ that does not depend on
# them.* All miss it with probability $(1-\varepsilon)^M \ge 1 - M\varepsilon$. Then DV on the sample grows without bound as the critic rises there, if a positive
# is in it, while the exact DV tends to $-\infty$ (for $P(A) < 1$).

# %% tags=["hide-input"]
law, rise = TwoLevel(128, 0.95), torch.linspace(-4, 8, 97)
raised = law.log_ratio + rise[:, None] * torch.tensor([1.0, 0.0])
blind = mi.dv(raised, raised, law.log_p, torch.tensor([0.0, 1.0]).log())  # no negative in A
true = mi.dv(raised, raised, law.log_p, law.log_q)
figure, axes = plt.subplots(1, 2)
for size, marker in ((16, "o"), (64, "s"), (1024, "^")):
    fraction = torch.tensor([mean_ess(TwoLevel(k, spec.copy), size) for k in spec.symbols])
    axes[0].semilogy(
        information, fraction, marker, color="C3", fillstyle="none", label=f"M = {size}"
    )
    assert (fraction > theory["ess_limit"]).all()
axes[0].semilogy(information, theory["ess_limit"], color="C3", linewidth=1, label="1/(1 + χ²)")
axes[0].semilogy(information, (-information).exp(), ":", color="C6", label="e⁻ᴵ")
axes[0].semilogy(
    information, (-2 * information).exp(), "--", color="C6", linewidth=1, label="e⁻²ᴵ (Gaussian)"
)
axes[1].plot(rise, blind, color="C4", label="no negative in A")
axes[1].plot(rise, true, color="C0", label="exact")
axes[1].axhline(law.mutual_information, color="C6", linestyle="--", label="I")
show(axes, ("I (nats)", "mean ESS / M"), ("c in T = ln dP/dQ + c on A", "DV (nats)"))

# %% [markdown]
# *Left: share of the negatives that carry DV's gradient at the exact log-ratio, exact mean over all batches. Batches that have missed A see equal scores and report a
# share near 1: judge the count ESS, never the share. Right: DV as the critic rises on A (mass 1/128). A batch without a negative there, which
# at M = 64 has the probability 0.61, rewards the rise for ever.*

# %%
assert (theory["ess_limit"] <= (-information).exp()).all()
assert (blind.diff() / rise.diff() - law.hit).abs().max() < 1e-9  # slope P(A)
assert true.argmax() == rise.abs().argmin()
assert 1 - 64 * law.region < (1 - law.region) ** 64 < math.exp(-64 * law.region) < 0.61

# %% [markdown]
# ## 4. No bound escapes
#
# Perhaps a cleverer bound would do? No: an event that no sample has shown may still decide the answer, and a promise for every law must reckon with it.
#
# **Theorem [`mcallester_stratos`](../docs/THEOREMS.md#mcallester_stratos).** *Assumes a value $B$ of $P$ and of $N$ i.i.d. points of $Q$ that exceeds
# $\mathrm{KL}(P\|Q)$ with probability at most $\delta$ for **every** $P$ and $Q$, not for a class of laws.* Then $B > \ln N$ with probability at most $4\delta$. For
# mutual information, from $N$ pairs: $B > 2 \ln N$ with probability at most $2\delta$. It limits what is certified, not what is estimated.
#
# Why: mix a little of $P$ into $Q$, $Q' = (1 - 1/N)\,Q + P/N$. Now $\mathrm{KL}(P\|Q') \le \ln N$; but $N$ points of $Q'$ are all from $Q$ with
# probability $(1 - 1/N)^N \ge \frac14$, and then nothing in them tells $Q'$ from $Q$. The limit is right up to $\ln\ln(1/\delta)$: if $P$ is one atom that the
# sample misses, $B = \ln N - \ln\ln(1/\delta)$ (else 0) keeps the promise.

# %% tags=["hide-input"]
points, delta, mass = torch.logspace(0.31, 5, 60), 0.05, torch.logspace(-5, -1, 400)
unseen, wrong = (1 - 1 / points) ** points, {}
figure, axes = plt.subplots(1, 2)
axes[0].semilogx(points, unseen, color="C0", label="(1 − 1/N)ᴺ")
axes[0].axhline(0.25, color="C6", linestyle="--", label="¼")
for name, cut, colour in (
    ("ln N", 0.0, "C4"),
    ("ln N − ln ln 1/δ", math.log(math.log(1 / delta)), "C3"),
):
    wrong[name] = (1 - mass) ** 1000 * (
        math.log(1000) - cut > -mass.log()
    )  # KL = −ln q; the sample misses the atom
    axes[1].semilogx(mass, wrong[name], color=colour, label=f"B = {name}")
axes[1].axhline(delta, color="C6", linestyle="--", label="δ = 0.05")
show(
    axes,
    ("N, points", "chance that Q′ looks like Q"),
    ("mass q of the atom, N = 1000", "chance that B > ln 1/q"),
)

# %% [markdown]
# *Left: the chance that a sample of Q′ looks like one of Q, though KL is at most ln N for the one and may be infinite for the other: at least a quarter. Right: how
# often two candidate bounds are too high, for every mass q of the atom. Claiming ln N breaks the promise where q is just above 1/N; lowered by ln ln(1/δ) it holds
# for all q.*

# %%
assert ((unseen >= 0.25) & (unseen < math.exp(-1))).all()
assert wrong["ln N"].max() > 0.3 > delta >= wrong["ln N − ln ln 1/δ"].max()

# %% [markdown]
# ## 5. What is to be had for less
#
# A bounded weight gives a steady *gradient*, and a bounded ratio gives a steady value of *less information*.
#
# **Theorem [`js_gradient_bounded`](../docs/THEOREMS.md#js_gradient_bounded).** *Assumes independent draws, and a critic that does not depend on this batch; a bound on
# the noise, not on the signal.* JS's weights lie in $(0, 1)$, so $\mathrm{tr\,Cov}\,\hat g \le \mathbb E_P\|\nabla T\|^2/N + \mathbb E_Q\|\nabla T\|^2/M$ for every
# critic and law; at $T = \ln r$, with $\|\nabla T\| \le 1$ and $N = M$, $\;N\,\mathrm{tr\,Cov}\,\hat g \le \frac12$.
#
# **Theorem [`relative_ratio_ceiling`](../docs/THEOREMS.md#relative_ratio_ceiling).** *Assumes $P \ll Q$ on a finite set, $0 < \alpha < 1$.* Against
# $Q_\alpha = (1-\alpha)P + \alpha Q$ the ratio is $r_\alpha < 1/(1-\alpha)$, so $\mathrm{KL}(P\|Q_\alpha) < -\ln(1-\alpha)$ and
# $\mathrm{Var}_{Q_\alpha}(r_\alpha) < \alpha/(1-\alpha)$. Convex $g$ turns $\ln r_\alpha$ into $\ln r$, and $I \ge g(\mathrm{KL}(P\|Q_\alpha))$.

# %% tags=["hide-input"]
wide = [TwoLevel(2**k, 0.95) for k in range(1, 21)]
grid = torch.tensor([law.mutual_information for law in wide])
figure, axes = plt.subplots(1, 2)
for bound, colour in shown.items():
    axes[0].semilogy(information, trace[bound], "o", color=colour, label=bound)
axes[0].axhline(0.5, color="C2", linestyle="--", linewidth=1)
for mix, colour in ((0.5, "C5"), (0.9, "C4"), (0.99, "C0")):
    critics = [mi.bounds.log_ratio_to_relative(law.log_ratio, mix) for law in wide]
    less = [
        mi.bounds.relative(mi.dv, mix)(t, t, law.log_p, law.log_q)
        for t, law in zip(critics, wide, strict=True)
    ]
    less, regained = torch.stack(less), mi.bounds.relative_to_log_ratio(torch.stack(less), mix)
    axes[1].plot(grid, less, color=colour, label=f"KL(P‖Q_α), α = {mix}")
    axes[1].plot(grid, regained, "--", color=colour, linewidth=1)
    axes[1].axhline(-math.log1p(-mix), color=colour, linestyle=":", linewidth=1)
    assert ((less < -math.log1p(-mix)) & (less <= mix * grid) & (regained <= grid)).all()
axes[1].plot(grid, grid, color="C6", label="I")
show(axes, ("I (nats)", "N · tr Cov of the gradient, N = 64"), ("I (nats)", "nats"))

# %% [markdown]
# *Left: N times the variance of each bound's gradient at ln dP/dQ, over all batches; dashed: JS's ceiling ½. NWJ's grows like the information's exponential, that of JS
# and of the α-relative bound (α = 0.9) does not. Right: relative information against I (solid), its ceiling −ln(1 − α) (dotted), and the lower bound of I
# regained from it (dashed). Far past the ceiling that bound is flat: what lies there is lost.*

# %%
assert max(trace["js"].max(), trace["relative"].max()) <= 0.5
assert (trace["nwj"] / theory["nwj_trace"] - 1).abs().max() < 1e-6
