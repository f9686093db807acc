# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # RLHF and DPO as Donsker–Varadhan: what holds, what needs care
#
# The Donsker–Varadhan (DV) bound of a divergence is $\mathrm{KL}(P\|Q) \ge \mathbb E_P T - \ln \mathbb E_Q e^{T}$, for every critic $T$. RLHF and
# DPO contain it exactly. Less follows from that than one would like, and this notebook draws the line: an identity of **values** is not an identity of
# **problems**, and the value that a loss reaches need not bound the divergence that it is built from.
#
# Notation: $\pi$ the policy, $\pi_{\mathrm{ref}}$ the reference, $z = \ln \pi/\pi_{\mathrm{ref}}$ of the chosen ($z_w$) or rejected ($z_l$) response,
# $\beta$ the inverse temperature, $T = \beta z$; $\mathrm{sp}(t) = \ln(1 + e^t)$ and $\sigma = \mathrm{sp}'$; all in nats. Every name in code font is
# a theorem in [docs/THEOREMS.md](../docs/THEOREMS.md), with its proof; the verdicts on the paper's claims are in
# [docs/what_the_paper_claims.md](../docs/what_the_paper_claims.md).

# %%
import math
from functools import partial

import matplotlib.pyplot as plt
import torch

# %%
import mi_estimators as mi
from proofs.engine.shipped import compiled
from proofs.engine.theorem import decide
from proofs.theorems.preference import dpo_value_is_label_information as label_information
from proofs.theorems.preference import dpo_value_is_no_kl_bound as no_kl_bound
from proofs.theorems.preference import (
    gibbs_dv_duality,
    k_negatives_is_infonce,
    matched_gradients,
    preference_table,
)
from toy.models.flows import ascent, integrate

# %% tags=["hide-input"]
torch.set_default_dtype(torch.float64)
plt.style.use("tour.mplstyle")

# %% [markdown]
# ## 1. RLHF: one gap, two problems
#
# RLHF asks which policy earns most when every nat away from the reference costs $\beta$. The best one tilts the reference towards reward and stops where a further step
# would cost more than it earns. How far a policy is from that best one can be written in two ways, and one of them is the gap of a DV bound.
#
# RLHF maximises $J(\pi) = \mathbb E_\pi r - \beta\,\mathrm{KL}(\pi\|\pi_{\mathrm{ref}})$. With $\pi^* \propto \pi_{\mathrm{ref}} e^{r/\beta}$,
# $Z = \mathbb E_{\mathrm{ref}} e^{r/\beta}$ and the critic $T = r/\beta$, theorem
# [`gibbs_dv_duality`](../docs/THEOREMS.md#gibbs_dv_duality) says
#
# $$\ln Z - \tfrac1\beta J(\pi) \;=\; \mathrm{KL}(\pi\|\pi_{\mathrm{ref}}) - \bigl(\mathbb E_\pi T - \ln \mathbb E_{\mathrm{ref}} e^{T}\bigr)
# \;=\; \mathrm{KL}(\pi\|\pi^*).$$
#
# *Assumptions:* one prompt, finitely many responses, $\pi_{\mathrm{ref}}$ with full support, $\beta > 0$, $\pi$ any law (a parametrised policy
# reaches $\pi^*$ only if its family contains it).
#
# RLHF moves the **law** at a fixed critic; an estimator moves the **critic** at a fixed law. Conjugate problems, tight at one point.

# %% tags=["hide-input"]
reference = torch.tensor([0.4, 0.3, 0.2, 0.08, 0.02]).log()
critic, s = torch.tensor([0.0, 0.3, 0.5, 0.9, 1.0]) / 0.4, torch.arange(-20, 101) / 40  # r/β
tilts = s[:, None] * critic  # critics s r/β, and the laws π_s ∝ π_ref e^{s r/β}
laws, optimum, half = ((reference + tilt).log_softmax(-1) for tilt in (tilts, critic, 0.5 * critic))
divergence, gap = (
    mi.mean(laws - other, laws) for other in (reference, optimum)
)  # KL(π_s‖π_ref), KL(π_s‖π*)
value = mi.dv(critic.expand_as(laws), critic, laws, reference)
objective = mi.mean(critic.expand_as(laws), laws) - divergence  # J/β
figure, (left, right) = plt.subplots(1, 2, sharey=True)
left.plot(s, value, label=r"DV at $T = r/\beta$")
left.plot(s, divergence, label=r"KL$(\pi_s\,\|\,\pi_{ref})$")
left.plot(s, objective, "C4", label=r"$J(\pi_s)/\beta$")
for law, colour, name, tight in ((optimum, "C5", r"$\pi^*$", 1), (half, "C3", r"$\pi_{1/2}$", 0.5)):
    bound = mi.dv(tilts, tilts, law, reference)
    right.plot(s, bound, colour, label=r"DV at $T = s\,r/\beta$, law " + name)
    right.axhline(mi.mean(law - reference, law), color=colour, linestyle="--")
    assert s[bound.argmax()] == tight
left.set(xlabel="s", ylabel="nats", title="RLHF: the law moves")
right.set(xlabel="s", title="estimation: the critic moves")
figure.legend(loc="outside lower center", ncols=5)
plt.show()

# %% [markdown]
# *Five responses, β = 0.4. Left: the laws* $\pi_s \propto \pi_{ref} e^{s r/\beta}$ *at the critic r/β. DV stays below the divergence and touches it at
# s = 1, that is at π\*, where J is largest; the divergence itself goes on growing, so RLHF does not maximise it. Right: the critics s r/β at two fixed
# laws. DV touches the divergence of a law (dashed) at the critic of that law, which is r/β for π\* only.*

# %%
assert (mi.log_mean_exp(critic, reference) - objective - gap).abs().max() < 1e-12
assert (divergence - value - gap).abs().max() < 1e-12
assert s[objective.argmax()] == s[gap.argmin()] == 1
assert divergence[-1] > 2 * divergence[objective.argmax()]

# %% [markdown]
# **Care.** At a constant reward the optimum is $\pi_{\mathrm{ref}}$, with divergence 0: the divergence is a price in $J$, not the aim. And
# $\mathrm{KL}(\pi\|\pi_{\mathrm{ref}})$, averaged over prompts, is the mutual information of prompt and response only where $\pi_{\mathrm{ref}}$ is the
# average of $\pi$ over the prompts.

# %% [markdown]
# ## 2. DPO: Donsker–Varadhan with the chosen response among its own negatives
#
# DPO compares a chosen response with a line-up of two: the rejected one and itself. Since it stands in the line-up, its weight $e^{T}$ is at most twice the line-up's average: the value cannot
# exceed $\ln 2$. A longer line-up has a higher ceiling.
#
# Take one positive, the chosen response, and the negatives chosen and rejected with weights $1 - \alpha$ and $\alpha$. At $\alpha = \tfrac12$,
# theorem [`dpo_is_half_mixed_dv`](../docs/THEOREMS.md#dpo_is_half_mixed_dv) reads
#
# $$\beta z_w - \ln \tfrac12\bigl(e^{\beta z_w} + e^{\beta z_l}\bigr) = \ln 2 + \ln \sigma(\beta (z_w - z_l)) = \ln 2 - L_{\mathrm{DPO}},$$
#
# and with $K - 1$ rejected responses, each of the $K$ candidates of weight $1/K$, the same line is a row of InfoNCE, below $\ln K$
# ([`k_negatives_is_infonce`](../docs/THEOREMS.md#k_negatives_is_infonce)). *Assumptions:* finite log-ratios, $\beta > 0$; one example (over data: the
# mean). The half-mix carries it: without it, at $\alpha = 1$, DV is $\beta (z_w - z_l)$, linear, and there is no ceiling.

# %% tags=["hide-input"]
margin, zero = torch.linspace(-4, 8, 121), torch.zeros(121)
figure, axes = plt.subplots(1, 2, sharey=True)
for mix in (0.5, 0.75, 0.9375, 1.0):
    value = mi.dv(
        margin[:, None], torch.stack([margin, zero], -1), log_q=torch.tensor([1 - mix, mix]).log()
    )
    axes[0].plot(margin, value, label=f"α = {mix:g}" + ", DPO" * (mix == 0.5))
    constant = mi.preference_anchor(mix) if mix < 1 else 0.0  # −ln(1 − α), the ceiling
    assert (constant - mi.preference_loss(margin, zero, "dv", mix) - value).abs().max() < 1e-12
for K in (2, 4, 16):
    rows = mi.infonce(
        margin[:, None, None] * torch.eye(K)
    )  # every row of the matrix is the example
    axes[1].plot(margin, rows, label=f"K = {K}" + ", DPO" * (K == 2))
    assert (
        math.log(K) - mi.preference_loss(margin, torch.zeros(121, K - 1), "infonce") - rows
    ).abs().max() < 1e-12
for axis, title in zip(
    axes, ("one rejected response, mix α", "K − 1 rejected responses, mix 1 − 1/K"), strict=True
):
    axis.set(xlabel="margin (nats)", ylabel="value (nats)", ylim=(-4, 4), title=title)
    axis.hlines([math.log(k) for k in (2, 4, 16)], -4, 8, ["C0", "C1", "C2"], "dotted")
    axis.legend(loc="lower right")
plt.show()

# %% [markdown]
# *The DV value of one example against the margin of the chosen response. Left: one rejected response. A mix below 1 has the ceiling −ln(1 − α)
# (dotted: ln 2, ln 4, ln 16); α = 1 is linear and has none. Right: equal rejected responses; the ceiling ln K of InfoNCE (dotted) is raised by more
# of them. Both panels share DPO.*

# %%
assert rows.max() < math.log(16) < value.max()  # K = 16, and α = 1

# %% [markdown]
# ## 3. One table
#
# A preference loss makes two choices: how a score is rewarded and punished (the bound), and how often the chosen response stands among its own negatives (the mix). Most named losses
# are one choice of each.
#
# Bound × mix gives the named losses, up to a constant ([`preference_table`](../docs/THEOREMS.md#preference_table)):
#
# $$L_{\text{bound},\alpha}(u, v) = \text{constant} - \text{bound}\bigl(\delta_w,\ (1 - \alpha)\,\delta_w + \alpha\,\delta_l;\ T\bigr),
# \qquad T_w = u,\ T_l = v.$$
#
# *Assumptions:* finite scores; one pair; the published formulas for whole responses (sums over tokens). An identity of loss values: nothing is said
# about how the methods sample, normalise or anneal.

# %% tags=["hide-input"]
t = torch.linspace(-3, 3, 61)
figure, axes = plt.subplots(1, 2, sharey=True, figsize=(9.5, 4.6))
for name, (bound, mix, factor, constant, _, published) in preference_table.TABLE.items():
    for axis, rejected in zip(axes, (-t, t), strict=True):
        losses = mi.preference_loss(t, rejected, bound, float(mix))
        formula = [
            factor * published(*pair) + constant
            for pair in zip(t.tolist(), rejected.tolist(), strict=True)
        ]
        assert (losses - torch.tensor(formula)).abs().max() < 1e-9
        axis.plot(
            t,
            losses - losses[30],
            "--" if mix == 1 else "-",
            label=f"{bound}, α = {float(mix):g}: {name}",
        )
axes[0].set(
    xlabel="t: scores (t, −t)",
    ylabel="loss − loss at 0 (nats)",
    ylim=(-3, 4),
    title="the margin grows",
)
axes[1].set(xlabel="t: scores (t, t)", title="the level moves, the margin is 0")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()

# %% [markdown]
# *Six losses from one function, each drawn from its value at 0: as the margin grows (left), and as both scores move together (right). Right: the two DV
# cells are flat, they leave the level of the scores free; the two JS cells (one curve) hold it from both sides, NWJ and χ² too, steeply from above.
# Left: MIO turns back, as it draws the chosen score to its anchor, ln 2, whatever the margin (notebook 06).*

# %%
assert [
    round(float(mi.preference_loss(zero[0], zero[0], bound)) / math.log(2), 9)
    for bound in ("dv", "js")
] == [1, 2]

# %% [markdown]
# ## 4. What DPO's value bounds, and what it does not
#
# A low loss says that the policy can tell which of the two responses was preferred. It is tempting to read it as the distance between the laws of good and bad responses, and that reads too
# much: DPO sees both members of a pair at once, and the second one tells something, too.
#
# Let $A$ be the law of the pair $(y_w, y_l)$, $P$ and $R$ its marginals, $M = \tfrac12 (P + R)$. DV at the law of the data would bound
# $\mathrm{KL}(P\|M)$ from below. DPO takes the logarithm within each pair instead, and then the best value is no longer below
# ([`dpo_value_is_no_kl_bound`](../docs/THEOREMS.md#dpo_value_is_no_kl_bound)): for independent $y_w \sim P$, $y_l \sim R$,
#
# $$\mathrm{KL}(P\|M) \;\le\; \sup \mathbb E[\ln 2 - L_{\mathrm{DPO}}] \;\le\; \mathrm{KL}(P\|M) + \mathrm{KL}(R\|M).$$
#
# What the value does bound is the information between the pair and the order $O$ of its two members
# ([`dpo_value_is_label_information`](../docs/THEOREMS.md#dpo_value_is_label_information)), not one between prompt and response:
#
# $$\sup \mathbb E[\ln 2 - L_{\mathrm{DPO}}] \;\le\; I(O; \text{pair}) = \mathrm{JSD}(A, A^{\mathrm{swap}}) \le \ln 2.$$
#
# *Assumptions:* one prompt (over prompts: the mean), finitely many responses, the supremum over all scores of a response (policies with
# full support have them all, up to a constant). Equality in the last line for Bradley–Terry odds, as always for two responses; on a cycle of three it
# fails, since DPO's margins are differences of scores.


# %%
def value(pairs: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return E[ln 2 − L_DPO] of softmax policies on laws of (y_w, y_l), shape (B, n, n); β = 1, uniform reference."""
    z = logits.log_softmax(-1)[:, :, None]
    losses = mi.preference_loss(*torch.broadcast_tensors(z, z.mT), "dv")
    return math.log(2) - mi.mean(losses.flatten(1), pairs.flatten(1).log())


# %% tags=["hide-input"]
p, cycle = torch.arange(25, 49) / 50, torch.arange(25) / 8
two = torch.stack([p, 1 - p], -1)[:, :, None] * torch.stack([1 - p, p], -1)[:, None, :]
odds = torch.stack(
    [1 + cycle, 1 + cycle, 2 - cycle], -1
)  # of 1 over 2, 2 over 3 and 1 over 3: ordered, and a cycle
three = torch.zeros(25, 3, 3)
three[:, [0, 1, 0], [1, 2, 2]], three[:, [1, 2, 2], [0, 1, 0]] = (
    odds.sigmoid() / 3,
    (-odds).sigmoid() / 3,
)
kl = mi.mean(two.sum(-1).log() + math.log(2), two.sum(-1).log())  # KL(P‖M) = KL(R‖M), M = (½, ½)
figure, axes = plt.subplots(1, 2, sharey=True)
axes[0].plot(p, kl, "C1", label="KL(P‖M)")
axes[0].plot(p, 2 * kl, "C1--", label="KL(P‖M) + KL(R‖M)")
results = []
for axis, x, pairs in zip(axes, (p, cycle), (two, three), strict=True):
    dpo = partial(value, pairs)
    results += [torch.tensor([label_information.information_of(law) for law in pairs.tolist()])]
    results += [
        dpo(integrate(ascent(dpo), torch.zeros(pairs.shape[:2]), 1000.0).state)
    ]  # trained by exact flow
    axis.plot(x, results[-2], "C3", label="I(order; pair)")
    axis.plot(x[::2], results[-1][::2], "C0o", label="trained DPO policy")
    axis.axhline(math.log(2), color="C6", linestyle=":", label="ln 2")
    axis.legend()
axes[0].set(
    xlabel="p: P = (p, 1 − p), R = (1 − p, p)",
    ylabel="nats",
    title="two responses, independent draws",
)
axes[1].set(xlabel="strength of the cycle", title="three responses, one pair at a time")
plt.show()

# %% [markdown]
# *What DPO's value ln 2 − L reaches (blue points: softmax policies trained by exact flow) and the information between a pair and its order (green).
# Left: on two responses they agree, between KL(P‖M) and KL(P‖M) + KL(R‖M): a converged DPO overstates KL(P‖M), here by up to 0.1486 nats. Right: on
# three responses they agree at strength 0, where the odds are Bradley–Terry's; the stronger the preferences run in a cycle, the more of the information
# no policy can express.*

# %%
information, reached, label, policies = results
assert (reached - information).abs().max() < 1e-3
assert ((kl < information) & (information < 2 * kl))[1:].all()
assert (policies <= label + 1e-12).all()
assert abs(policies[0] - label[0]) < 1e-3
assert policies[-1] < 0.1 * label[-1]
assert (
    (information - kl).max() <= 0.1486229 < compiled(no_kl_bound.excess)(p=0.87890865) < 0.1486230
)

# %% [markdown]
# ## 5. DPO at β and MIO at 2β: the same first step
#
# At the start both losses pull the chosen response up and push the rejected one down, with equal force if $\beta$ is matched. After one step they differ: DPO looks at the margin alone, MIO at the
# level of each response, so that it holds on to a chosen response which sinks.
#
# To compare a DV loss with the JS loss of the same mix (MIO, notebook 06) one must match their first gradients: MIO at $2\beta$ has DPO's at $\beta$.
# Call $-\partial L/\partial z_w$ the pull on the chosen and $\partial L/\partial z_l$ the push on the rejected response, both over $\beta$, and
# $u = \beta z_w$, $v = \beta z_l$. Theorem [`matched_gradients`](../docs/THEOREMS.md#matched_gradients):
#
# $$\text{MIO}(2\beta):\ \bigl(2 - 3\sigma(2u),\ \sigma(2v)\bigr), \qquad \text{DPO}(\beta):\ \bigl(\sigma(v - u),\ \sigma(v - u)\bigr).$$
#
# MIO pushes less iff $u + v < 0$, and pulls more iff $v < h(u) = u + \ln\frac{2 - e^{2u}}{2e^{2u} - 1}$ (for $|u| < \tfrac12 \ln 2$; always to the left,
# never to the right). *Assumptions:* gradients in the log-ratios of one pair, at the same point, not along two trajectories. Equal first gradients
# are not equal regularisation: for weak preferences between i.i.d. responses MIO has DPO's optimum at $\beta/2$, not at $2\beta$
# ([`mio_learns_win_rates`](../docs/THEOREMS.md#mio_learns_win_rates)). A comparison should show both.

# %% tags=["hide-input"]
ticks = torch.linspace(-2, 2, 161)
u, v = (grid.clone().requires_grad_() for grid in torch.meshgrid(ticks, ticks, indexing="ij"))
mio, dpo = (
    torch.autograd.grad(mi.preference_loss(u * k, v * k, b).sum(), (u, v))
    for k, b in ((2, "js"), (1, "dv"))
)
pull, push = dpo[0] - mio[0], mio[1] - dpo[1]  # MIO's minus DPO's
between = ticks.abs() < 0.5 * math.log(2)
h = torch.tensor([compiled(matched_gradients.edge)(u=x) for x in ticks[between].tolist()])
figure, axes = plt.subplots(1, 2, sharey=True)
for axis, values, title in (
    (axes[0], pull, "pull on the chosen one"),
    (axes[1], -push, "push on the rejected one"),
):
    axis.contourf(ticks, ticks, values.mT, [-9, 0, 9], colors=["C0", "C2"], alpha=0.4)
    axis.set(xlabel=r"$u = \beta z_w$", ylabel=r"$v = \beta z_l$", ylim=(-2, 2), title=title)
axes[0].plot(ticks[between], h, "C6")
axes[1].plot(ticks, -ticks, "C6")
plt.show()

# %% [markdown]
# *Gradients of MIO at 2β and DPO at β in the plane of the two rewards; they agree at the origin. Left, pink: MIO pulls the chosen response up more
# than DPO does; grey: v = h(u). Right, pink: MIO pushes the rejected response down less; grey: u + v = 0. Where the chosen response has sunk, and the
# rejected one with it, both are pink. Where the chosen response has risen DPO pulls more; MIO's own pull is negative beyond u = ½ ln 2.*

# %%
assert ((pull > 0) & (push < 0))[(u < -1e-9) & (u + v < -1e-9)].all()
assert ((pull[between] > 1e-12) == (v[between] < h[:, None] - 1e-9)).all()

# %% [markdown]
# ## 6. One change away
#
# Each theorem carries *false neighbours*: statements one change away, which the same machinery must refute. Five of them, with the witness that it
# finds; each is something one could have believed.

# %%
picked = {
    gibbs_dv_duality: 2,
    label_information: 2,
    no_kl_bound: 2,
    k_negatives_is_infonce: 2,
    matched_gradients: 0,
}
for module, number in picked.items():
    result = decide(module.THEOREM.false_neighbours[number])
    print(f"{module.THEOREM.slug}: “{result.claim.name}”\n    refuted at {result.outcome.witness}")
    assert result.refused
