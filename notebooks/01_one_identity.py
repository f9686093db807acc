# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One identity, all bounds
#
# Every variational bound of this library is a small function of **scores** $T(x, y)$, and a critic means one thing everywhere:
#
# $$T \approx \ln r, \qquad r = \frac{dP}{dQ},\quad P = p(x, y),\ Q = p(x)\,p(y).$$
#
# In that form each $f$-divergence bound reads $\mathbb E_P[\text{reward}(T)] - \mathbb E_Q[\text{penalty}(T)]$, and **one line** makes it tight at
# $T = \ln r$:
#
# $$\text{penalty}'(T) = e^{T}\,\text{reward}'(T).$$
#
# We check it on the shipped code, exactly, on a finite law; then we turn the same functions into preference losses. The theorems are in
# [THEOREMS.md](../docs/THEOREMS.md) with their proofs; `python -m proofs SLUG` checks one.

# %%
import math

import matplotlib.pyplot as plt
import torch

import mi_estimators as mi

plt.style.use("tour.mplstyle")
torch.set_default_dtype(torch.float64)
law = mi.laws.Finite(torch.tensor([[0.30, 0.05, 0.05], [0.02, 0.30, 0.28]]).log())
log_ratio = law.log_ratio_matrix
print(f"I = {law.mutual_information:.6f} nats, χ² = {law.chi2:.6f}")

# %% [markdown]
# ## 1. The invariant, row by row
#
# A bound pays a reward where the pairs are real and a penalty where they are shuffled. At each pair of values the best score is the one where a little more reward is worth just a
# little more penalty. If penalty and reward grow in the ratio $e^T$, that balance is struck at $T = \ln r$, whatever the rest of the bound looks like.
#
# **Theorem [`log_ratio_optimality`](../docs/THEOREMS.md#log_ratio_optimality).** *Assumes laws $P$, $Q$ with mass at every atom of one finite set, $T$ real,
# $\text{reward}' > 0$.* If $\text{penalty}' = e^{T}\,\text{reward}'$, the value has its maximum at $T = \ln r$ and nowhere else; conversely only such
# rows have it there for all laws. The maximum is the divergence that the row is named after.
#
# Why: at an atom the integrand is $q\,(r\,\text{reward}(T) - \text{penalty}(T))$, whose slope is $q\,\text{reward}'(T)\,(r - e^{T})$.

# %% tags=["hide-input"]
t = torch.linspace(-4, 4, 401, requires_grad=True)
figure, axes = plt.subplots(1, 2, sharey=True)
for k, (name, row) in enumerate(mi.DIVERGENCES.items()):
    (reward_slope,) = torch.autograd.grad(row.reward(t).sum(), t)
    (penalty_slope,) = torch.autograd.grad((row.penalty(t) + 0 * t).sum(), t)
    violation = ((penalty_slope - t.exp() * reward_slope).abs() / penalty_slope).max().item()
    print(f"{name:11} bounds {row.divergence:24} relative violation {violation:.1e}")
    assert violation < 1e-12
    for axis, r in zip(axes, (0.5, 3.0), strict=True):
        gain = (r * row.reward(t) - row.penalty(t)).detach()
        axis.plot(t.detach(), gain - gain.max(), color=f"C{k}", label=name)
        axis.axvline(math.log(r), color="C6", linestyle=":")
        axis.set(xlabel=f"T at an atom with r = {r:g}", ylim=(-1, 0.1))
        assert abs(t[gain.argmax()] - math.log(r)) < 0.02  # the grid's step
axes[0].set_ylabel("r · reward − penalty, less its maximum")
axes[1].legend(loc="upper left")
plt.show()

# %% [markdown]
# *What one atom contributes to each bound, as a function of the critic there, for two values of its ratio r = dP/dQ. The rows differ in shape and share one thing: each has its
# maximum at T = ln r (dotted). nwj and kl are two names of one row (one curve).*

# %%
best = {name: law.exact(bound, law.log_ratio_matrix) for name, bound in mi.BOUNDS.items()}
assert (
    max(abs(best["dv"] - law.mutual_information), abs(best["nwj"] - law.mutual_information)) < 1e-12
)
assert abs(best["chi2"] - law.chi2) < 1e-12

# %% [markdown]
# ## 2. Tight at the log-ratio, below it elsewhere
#
# A critic that is wrong in shape costs every bound something. A critic that is wrong by a constant costs NWJ, which knows the scale of the ratio, and not DV, which divides it out.
#
# **Theorem [`dv_representation`](../docs/THEOREMS.md#dv_representation).** *Assumes $P \ll Q$ on one finite set, $T$ finite on the support of $Q$.*
# $I - \mathrm{DV}(T) = \mathrm{KL}(P\|Q_T) \ge 0$ with $dQ_T \propto e^T dQ$; it is 0 iff $T = \ln r + c$.
#
# **Theorem [`dv_shift_nwj`](../docs/THEOREMS.md#dv_shift_nwj).** *Assumes $\mathbb E_P|T| < \infty$, $0 < \mathbb E_Q e^T < \infty$, the same $T$ in both.*
# $\mathrm{DV}(T) = \max_c \mathrm{NWJ}(T + c)$. So $\mathrm{NWJ} \le \mathrm{DV} \le I$.
#
# Move the critic away from $\ln r$ along a fixed direction, or by a constant. Notebook 02 goes on from here.

# %% tags=["hide-input"]
direction = torch.tensor([[1.0, -0.5, 0.3], [-0.8, 0.2, 0.6]])
steps = torch.linspace(-1.5, 1.5, 121)
tilted = log_ratio + steps[:, None, None] * direction
shifted = log_ratio + steps[:, None, None]

colours = {"dv": "C0", "nwj": "C1", "js": "C2"}
figure, axes = plt.subplots(1, 2, sharey=True)
for axis, critics, label in zip(axes, (tilted, shifted), ("s · direction", "s"), strict=True):
    for name, colour in colours.items():
        axis.plot(steps, law.exact(mi.BOUNDS[name], critics), color=colour, label=name)
    axis.axhline(law.mutual_information, color="C6", linestyle="--", label="I(X; Y)")
    axis.set(xlabel=f"s in T = ln r + {label}", ylim=(-0.4, 0.5))
axes[0].set_ylabel("value of the bound (nats)")
axes[1].legend(loc="lower center")
plt.show()

# %% [markdown]
# *Values of three bounds, exact on the law above, as the critic leaves the log-ratio. Left: along an arbitrary direction all three fall. Right:
# under a constant shift DV stays at the information, NWJ and JS fall: they fix the critic's level, DV leaves it free. JS bounds
# 2·JSD(P, Q), not the information, so its peak is lower.*

# %%
values = {name: law.exact(bound, tilted) for name, bound in mi.BOUNDS.items()}
assert (values["nwj"] <= values["dv"] + 1e-12).all()
assert (values["dv"] <= law.mutual_information + 1e-12).all()
assert abs(law.exact(mi.dv, log_ratio) - law.mutual_information) < 1e-12
assert (law.exact(mi.dv, shifted) - law.mutual_information).abs().max() < 1e-12
assert law.exact(mi.nwj, shifted)[0] < law.mutual_information - 0.1
assert all(values[name].argmax() == len(steps) // 2 for name in values)

# %% [markdown]
# ## 3. The same functions, as preference losses
#
# A preference pair is a sample from two laws, like a real and a shuffled pair. So the same functions are losses of a policy, if its own log-ratio takes the part of the critic.
#
# Take one positive, the chosen response, and draw the negatives from the *mixed* law $Q_\alpha = (1-\alpha)P + \alpha Q$: the chosen response with
# weight $1-\alpha$, the rejected one with weight $\alpha$. With $T = \beta \ln \pi/\pi_{\text{ref}}$ and $\alpha = \tfrac12$:
#
# **Theorem [`dpo_is_half_mixed_dv`](../docs/THEOREMS.md#dpo_is_half_mixed_dv).** *Assumes finite log-ratios, $\beta > 0$; an identity of the value on a pair.*
# $\mathrm{DV} = \ln 2 - L_{\mathrm{DPO}}$.
#
# **Theorem [`mio_is_half_mixed_js`](../docs/THEOREMS.md#mio_is_half_mixed_js).** *Assumes the same.* $\mathrm{JS} = 2 \ln 2 - L_{\mathrm{MIO}}$, and
# $L_{\mathrm{MIO}}$ is the pairwise NCA loss, term for term.

# %% tags=["hide-input"]
chosen, rejected = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0)) * 3
dpo = -torch.nn.functional.logsigmoid(chosen - rejected)
nca = sum(
    -w * torch.nn.functional.logsigmoid(s)
    for w, s in ((1, chosen), (0.5, -chosen), (0.5, -rejected))
)
assert (mi.preference_loss(chosen, rejected, bound="dv", mix=0.5) - dpo).abs().max() < 1e-12
assert (mi.preference_loss(chosen, rejected, bound="js", mix=0.5) - nca).abs().max() < 1e-12

common = torch.linspace(-3, 4, 281)  # the chosen score; the rejected one is 0
figure, axis = plt.subplots(figsize=(6, 3.2))
axis.plot(
    common, mi.preference_loss(common, 0 * common, "dv"), color=colours["dv"], label="dv, mix ½"
)
axis.plot(
    common, mi.preference_loss(common, 0 * common, "js"), color=colours["js"], label="js, mix ½"
)
axis.plot(
    common[::20],
    -torch.nn.functional.logsigmoid(common[::20]),
    "o",
    color=colours["dv"],
    label="DPO as published",
)
few = common[::20]
published = sum(
    w * torch.nn.functional.softplus(s) for w, s in ((1, -few), (0.5, few), (0.5, 0 * few))
)
axis.plot(few, published, "s", color=colours["js"], label="NCA as published")
axis.set(xlabel="chosen score T_w, rejected score 0", ylabel="loss (nats)")
axis.legend()
plt.show()

# %% [markdown]
# *Losses of one pair against the chosen score. Lines: the library's bounds on the half-mixed law; marks: the published losses. At 0 they start at ln 2
# and 2 ln 2.*

# %%
zero = torch.zeros(1)
assert abs(mi.preference_loss(zero, zero, "dv") - math.log(2)) < 1e-12
assert abs(mi.preference_loss(zero, zero, "js") - 2 * math.log(2)) < 1e-12

# %% [markdown]
# ## 4. What DV leaves free, JS anchors
#
# What DV divides out it cannot hold in place: a loss made of it sees the difference of two answers, and both may sink together. JS has no such freedom.
#
# The shift of section 2 returns.
#
# **Theorem [`dpo_flat_direction`](../docs/THEOREMS.md#dpo_flat_direction).** *Assumes $\beta > 0$, finite log-ratios, free of each other.* DPO does not change when
# both scores move together; the JS family is strictly convex.
#
# **Theorem [`mio_anchor`](../docs/THEOREMS.md#mio_anchor).** *Assumes $0 < \alpha < 1$, $\beta > 0$.* The chosen term of the JS family has its only minimum at
# $\beta z_w = -\ln(1-\alpha)$, which is $\ln 2$ for MIO; its floor is $\ln(3\sqrt3/2)$ there.
#
# **Theorem [`mio_no_collapse`](../docs/THEOREMS.md#mio_no_collapse).** *Assumes the mean loss and the mean score are over the same examples.* While the mean loss is at
# most its start, $2\ln 2$, the mean chosen score $\beta z_w$ stays in a fixed interval, which in nats of $z_w$ is divided by $\beta$. A single one may leave it.

# %% tags=["hide-input"]
flat = mi.preference_loss(common + 0.5, common - 0.5, "dv")
anchored = mi.preference_loss(common + 0.5, common - 0.5, "js")
low, high = mi.no_collapse_interval(0.5)
figure, axis = plt.subplots(figsize=(8, 3.2))
axis.plot(common + 0.5, flat, color=colours["dv"], label="DPO (dv, mix ½)")
axis.plot(common + 0.5, anchored, color=colours["js"], label="MIO (js, mix ½)")
axis.axvspan(low, high, color="#999999", alpha=0.25, label="no-collapse interval")
axis.axvline(mi.preference_anchor(0.5), color="C6", linestyle=":", label="anchor ln 2")
axis.set(xlabel="chosen reward T_w, at a fixed margin of 1 nat", ylabel="loss (nats)")
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# *Both losses when chosen and rejected move together at a fixed margin of 1 nat. DPO is flat: nothing holds the chosen reward. MIO grows on both
# sides of a minimum, which here lies below the anchor, where the chosen term alone is least (dotted), because the rejected reward moves along.*

# %%
assert (flat - flat[0]).abs().max() < 1e-12
assert 0 < int(anchored.argmin()) < len(common) - 1
assert low < common[anchored.argmin()] + 0.5 < high
u = torch.tensor([mi.preference_anchor(0.5)], requires_grad=True)
(slope,) = torch.autograd.grad(mi.preference_loss(u, torch.zeros(1), "js"), u)
assert abs(slope.item()) < 1e-12
assert math.isclose(mi.preference_loss_floor(0.5), math.log(3 * math.sqrt(3) / 2))
