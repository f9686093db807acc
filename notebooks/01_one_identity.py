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
# In that form each $f$-divergence bound reads $\mathbb E_P[\text{reward}(T)] - \mathbb E_Q[\text{penalty}(T)]$, and **one line** makes it
# tight at $T = \ln r$ (theorem `log_ratio_optimality`):
#
# $$\text{penalty}'(T) = e^{T}\,\text{reward}'(T).$$
#
# We check it on the shipped code, exactly, on a finite law; then we turn the same functions into preference losses.

# %%
import math

import matplotlib.pyplot as plt
import torch

import mi_estimators as mi

torch.set_default_dtype(torch.float64)
law = mi.laws.Finite(torch.tensor([[0.30, 0.05, 0.05], [0.02, 0.30, 0.28]]).log())
log_ratio = law.log_ratio_matrix
print(f"I = {law.mutual_information:.6f} nats, χ² = {law.chi2:.6f}")

# %% [markdown]
# ## 1. The invariant, row by row
#
# Automatic differentiation of the two columns of the table. The last column is the slope condition's largest violation over a grid.

# %%
t = torch.linspace(-4, 4, 401, requires_grad=True)
for name, row in mi.DIVERGENCES.items():
    (reward_slope,) = torch.autograd.grad(row.reward(t).sum(), t)
    (penalty_slope,) = torch.autograd.grad((row.penalty(t) + 0 * t).sum(), t)
    violation = ((penalty_slope - t.exp() * reward_slope).abs() / penalty_slope).max().item()
    print(f"{name:11} bounds {row.divergence:24} relative violation {violation:.1e}")
    assert violation < 1e-12

# %% [markdown]
# ## 2. Tight at the log-ratio, below it elsewhere
#
# Move the critic away from $\ln r$ along a fixed direction. All bounds of $\mathrm{KL}(P\|Q)$ touch the information at 0; Donsker–Varadhan
# (`dv`) does so for every constant shift as well, NWJ does not (theorems `dv_representation`, `dv_shift_nwj`).

# %%
direction = torch.tensor([[1.0, -0.5, 0.3], [-0.8, 0.2, 0.6]])
steps = torch.linspace(-1.5, 1.5, 121)
tilted = log_ratio + steps[:, None, None] * direction
shifted = log_ratio + steps[:, None, None]

colours = {"dv": "#0072B2", "nwj": "#D55E00", "js": "#009E73"}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for axis, critics, label in zip(axes, (tilted, shifted), ("s · direction", "s"), strict=True):
    for name, colour in colours.items():
        axis.plot(steps, law.exact(mi.BOUNDS[name], critics), color=colour, label=name)
    axis.axhline(law.mutual_information, color="#666666", linestyle="--", label="I(X; Y)")
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
# Take one positive, the chosen response, and draw the negatives from the *mixed* law $Q_\alpha = (1-\alpha)P + \alpha Q$: the chosen response with
# weight $1-\alpha$, the rejected one with weight $\alpha$. With $T = \beta \ln \pi/\pi_{\text{ref}}$ and $\alpha = \tfrac12$, `dv` **is** DPO
# (theorem `dpo_is_half_mixed_dv`) and `js` **is** MIO, the pairwise NCA loss (theorem `mio_is_half_mixed_js`).

# %%
chosen, rejected = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0)) * 3
dpo = -torch.nn.functional.logsigmoid(chosen - rejected)
nca = sum(-w * torch.nn.functional.logsigmoid(s) for w, s in ((1, chosen), (0.5, -chosen), (0.5, -rejected)))
assert (mi.preference_loss(chosen, rejected, bound="dv", mix=0.5) - dpo).abs().max() < 1e-12
assert (mi.preference_loss(chosen, rejected, bound="js", mix=0.5) - nca).abs().max() < 1e-12
zero = torch.zeros(1)
print(f"at zero scores: DPO {mi.preference_loss(zero, zero, 'dv').item():.6f} = ln 2,", end=" ")
print(f"MIO {mi.preference_loss(zero, zero, 'js').item():.6f} = 2 ln 2")

# %% [markdown]
# ## 4. What DV leaves free, JS anchors
#
# The shift of section 2 returns: DPO does not change when both rewards move together, so the chosen response may sink. MIO's chosen reward has a
# stationary point at $-\ln(1-\alpha) = \ln 2$, and while the mean loss stays below its start the mean chosen reward stays in a fixed interval
# (theorems `dpo_flat_direction`, `mio_anchor`, `mio_no_collapse`).

# %%
common = torch.linspace(-3, 4, 281)
flat = mi.preference_loss(common + 0.5, common - 0.5, "dv")
anchored = mi.preference_loss(common + 0.5, common - 0.5, "js")
low, high = mi.no_collapse_interval(0.5)
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
axis.plot(common + 0.5, flat, color=colours["dv"], label="DPO (dv, mix ½)")
axis.plot(common + 0.5, anchored, color=colours["js"], label="MIO (js, mix ½)")
axis.axvspan(low, high, color="#999999", alpha=0.25, label="no-collapse interval")
axis.axvline(mi.preference_anchor(0.5), color="#666666", linestyle=":", label="anchor ln 2")
axis.set(xlabel="chosen reward T_w, at a fixed margin of 1 nat", ylabel="loss (nats)")
axis.legend()
plt.show()

# %% [markdown]
# *Both losses when chosen and rejected move together at a fixed margin of 1 nat. DPO is flat: nothing holds the chosen reward. MIO has a minimum,
# and grows on both sides.*

# %%
assert (flat - flat[0]).abs().max() < 1e-12
assert 0 < int(anchored.argmin()) < len(common) - 1
assert low < common[anchored.argmin()] + 0.5 < high
u = torch.tensor([mi.preference_anchor(0.5)], requires_grad=True)
(slope,) = torch.autograd.grad(mi.preference_loss(u, torch.zeros(1), "js"), u)
assert abs(slope.item()) < 1e-12
assert math.isclose(mi.preference_loss_floor(0.5), math.log(3 * math.sqrt(3) / 2))
