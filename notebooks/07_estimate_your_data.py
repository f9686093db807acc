# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Estimating the information in your data, and when not to believe it
#
# Two arrays in; out come a number with an interval, a verdict, and what the verdict rests on. This notebook loads a table from a file and asks three questions about
# its rows. Then it reads a report line by line on an example whose true value is known, and looks at cases that the verdict refuses, at one that it cannot see, and
# at checks that need no true value.
#
# The digits below depend on the machine and on the version of the defaults; the assertions hold what should not.

# %%
import math
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_diabetes

import mi_estimators as mi

plt.style.use("tour.mplstyle")

# %% [markdown]
# ## 1. Your file, and three questions about its rows
#
# A real table: 442 patients, ten measurements, and how far their diabetes had gone a year later. scikit-learn ships it; here it is written to a CSV file first, so that
# **the second block is the one to copy**: put your path and your columns in it.

# %%
path = Path(tempfile.mkdtemp()) / "diabetes.csv"
data = load_diabetes(scaled=False)
names = ",".join([*data.feature_names, "progression"])
rows = np.column_stack([data.data, data.target])
np.savetxt(path, rows, "%.9g", delimiter=",", header=names, comments="")

# %%
table = np.genfromtxt(path, delimiter=",", names=True)
measured = np.column_stack([table[name] for name in ("bmi", "bp", "s5")])
progression = table["progression"]
answer = mi.estimate_mi(measured, progression, effort="fast")
low, high = answer.interval
print(f"{answer.nats:.2f} nats, 95 % [{low:.2f}, {high:.2f}]: {answer.verdict}")

# %% [markdown]
# Body mass, blood pressure and one value of the blood tell 0.27 nats about the course of the disease. For two Gaussian columns it would be a correlation of 0.65. The verdict is `ok`,
# so this number can be reported with its interval, **if the rows are independent draws**. Every estimate assumes that. Ask of your own file:
#
# 1. **Does a row stand in it twice?** Then the same row is trained on and tested on, and to know the copy looks like information.
# 2. **Do several rows come from one patient?** The same in a milder form. Name the patient: `groups=`, one label a row.
# 3. **Are neighbours in the file neighbours in time?** Two series that drift by themselves look alike for a while. Pass `groups=` the length of blocks that are much longer than
#    the memory; where no block is long enough, take differences first.
#
# What a wrong answer to each does, on the same table: every patient written down twice; the same with a label for the patient; running sums of both sides, where the rows of
# one are shuffled first, so that there is nothing to find; and their differences.

# %% tags=["hide-input"]
rng = np.random.default_rng(0)
twice = rng.permutation(np.repeat(np.arange(len(table)), 2))
drift = (measured - measured.mean(0)).cumsum(0)
apart = rng.permutation(progression - progression.mean()).cumsum()
files = {
    "the file": (measured, progression, None),
    "every patient twice": (measured[twice], progression[twice], None),
    "… and groups=patient": (measured[twice], progression[twice], twice),
    "two running sums": (drift, apart, None),
    "… and their differences": (np.diff(drift, axis=0), np.diff(apart), None),
}
answers = {
    name: mi.estimate_mi(x, y, groups=groups, effort="fast")
    for name, (x, y, groups) in files.items()
}
figure, axis = plt.subplots(figsize=(9.5, 3))
for row, (name, case) in enumerate(answers.items()):
    low, high = np.clip(case.interval, 0, 6)
    axis.plot([low, high], [row, row], color=f"C{row}", linewidth=3)
    axis.plot(case.nats, row, "o", color=f"C{row}", markersize=8)
    axis.text(6.1, row, case.verdict, va="center")
    print(f"{name}: {case.nats:.2f} nats, {case.verdict}")
axis.set(yticks=range(5), yticklabels=answers, ylim=(4.6, -0.6), xlim=(0, 6), xlabel="nats")
plt.show()

# %% [markdown]
# *Five estimates with their 95 % intervals and verdicts. Copies read almost three times as much as there is, and are refused. With a label for each patient the value is back; half of the
# rows add nothing, and the verdict asks for more. Sums of rows that have nothing to do with each other read most of a nat, and are refused; their differences read nothing.*

# %% [markdown]
# | verdict | what to do |
# |---|---|
# | `ok` | report the value with its interval |
# | `repeated_rows` | remove the copies, or pass `groups=` with a label for each patient |
# | `dependent_rows` | pass `groups=`: labels, or the length of blocks; of sums take differences |
# | `nothing_found` | report the upper end; test by `permutation_test` (section 4); this is no evidence of independence |
# | `overfit` | take more rows or fewer columns; the interval says how much may be missing |
#
# Three more follow in section 3; [the guide](../docs/guides/two_arrays.md#what-to-do-at-each-verdict) has them all. A verdict does not see everything: copies with a little noise on them are
# no copies, and a patient whose rows differ is one only if you say so.

# %%
assert answer.verdict == answers["the file"].verdict == "ok"
assert answers["every patient twice"].verdict == "repeated_rows"
assert answers["every patient twice"].nats > 2 * answer.nats
low, high = answers["… and groups=patient"].interval
assert low < answer.nats < high
assert answers["two running sums"].verdict == "dependent_rows"
assert answers["… and their differences"].interval[1] < 0.2

# %% [markdown]
# ## 2. A number and its report
#
# The example: on half of the rows $x$ and $y$ move together (correlation 0.9), on the other half against each other (−0.9). Their correlation is 0; their
# information, by quadrature, is 0.408 nats. Put your own arrays in place of `x` and `y`, of shape `(n,)` or `(n, d)`, one independent draw a row.
#
# By default critics $T$ are trained with the logistic (`js`) bound in folds, and each fold is read by the critic that was trained on the others: no row is read by a
# critic that saw it. Two theorems say why this works, and where it ends:
#
# **Theorem [`js_value_and_gap`](../docs/THEOREMS.md#js_value_and_gap).** *Assumes $P$ and $Q$ on one finite set, $T$ real.* The JS bound misses $2\,\mathrm{JSD}$
# by $2\,\mathbb E_M \mathrm{KL}(\mathrm{Bern}(r/(1+r))\,\|\,\mathrm{Bern}(\sigma(T)))$, $M = (P + Q)/2$: nothing iff $T = \ln r$, $r = dP/dQ$. What is ascended
# is what is wanted.
#
# **Theorem [`bridge_identity`](../docs/THEOREMS.md#bridge_identity).** *Assumes finite sets; for the value the same support of $P$ and $Q$.* Bennett's read-out
# `bridge` of $T = \ln r + k$ is $I$, for every $k$. At another critic it may be above $I$ or below it: **it is not a bound**, and the report says so.

# %%
law = mi.laws.TASKS["1v1-mixture-cross"]
x, y = (column.numpy() for column in law.sample(1000, torch.Generator().manual_seed(0)))
estimator = mi.MIEstimator().fit(x, y)  # mi.estimate_mi(x, y) is the same in one call
report = estimator.estimate_
print(report)

# %% [markdown]
# | line | what it says |
# |---|---|
# | nats, 95 %, (…) | the value; an interval, with room above for what a critic short of rows misses; the estimator, and whether it bounds $I$ |
# | verdict | `ok`, or the first of the reasons below not to believe the number, then each of them in words |
# | expert | what carries the value: a `network`, a fitted `copula` or law of `additive` noise alone, a `classifier` of labels, nearest `neighbours`, or full tables of `counts`; and what the critics read on held-out rows. The row `js` reports its best guess, half-way between held-out and training rows; `js_dv` and other rows report held-out rows alone |
# | read-outs | other functions of the *same* scores. For a true log-ratio they agree, but for `jsd_certificate`, a loose lower bound |
# | effective sample size | how many negatives carry an average of $e^T$: below 50 `dv` and `nwj` are not to be read. Pareto k near 1: its tail has no mean to speak of. ln Z is 0 for a log-ratio |
# | training rows … | optimism: what a critic reads on the rows it was trained on, beyond held-out ones; and how far the folds' critics differ |
# | KSG | a nearest-neighbour estimate that shares nothing with the critics. Both err downwards, so it carries the value where it reads clearly more |
# | nats / ln K, / (½ ln n) | near 1: the most that InfoNCE can say of K candidates, and an order of magnitude for what n rows can show |

# %% tags=["hide-input"]
u, v = law.sample(300, torch.Generator().manual_seed(1))  # fresh rows
found = mi.joint_and_product(estimator.score_matrix(u, v))
exact = mi.joint_and_product(law.log_ratio(u.unsqueeze(1), v.unsqueeze(0)))
figure, axes = plt.subplots(1, 2)
axes[0].plot(x, y, ".", color="C0", markersize=3)
axes[1].plot(
    exact[1][::60], found[1][::60], ".", color="C1", label="product pairs (Q)", markersize=3
)
axes[1].plot(exact[0], found[0], ".", color="C0", label="joint pairs (P)")
axes[1].axline((0, 0), slope=1, color="C6", linestyle="--")
axes[0].set(xlabel="x", ylabel="y")
axes[1].set(xlabel="ln dP/dQ", ylabel="the critics' mean T", xlim=(-6, 2.5), ylim=(-6, 2.5))
axes[1].legend()
plt.show()

# %% [markdown]
# *Left: the rows. Right: the trained critics' scores of 300 fresh rows against the true log-ratio, for rows as they are paired and for rows paired at random. The dashed
# line is a perfect critic. Where P puts rows the critic is near it; far down, where there are few rows of either, it need not be.*

# %%
assert abs(np.corrcoef(x[:, 0], y[:, 0])[0, 1]) < 0.1  # no correlation to see
assert report.verdict == "ok"
assert abs(report.nats - law.mutual_information) < 0.15
assert report.interval[0] > 0.1
assert torch.corrcoef(torch.stack([exact[0], found[0]]))[0, 1] > 0.8

# %% [markdown]
# ## 3. When the verdict refuses
#
# Eight nats between two blocks of 20 columns, and 600 rows. Three ways to get a wrong number, and the theorems behind the refusals.
#
# **`ceiling`.** InfoNCE asks a critic to find the right partner among $K$ candidates. Who always finds it has told $\ln K$ nats, and there is nothing more to tell, however
# much the two sides share. [`infonce_ceiling`](../docs/THEOREMS.md#infonce_ceiling): *with the positive among $K$ candidates, the others i.i.d. from $p(y)$,* InfoNCE is at most
# $\min(I, \ln K)$. A value near $\ln K$ says that $I$ is at least that, no more.
#
# **`low_ess`.** DV averages $e^T$ over pairs that do not belong together. The more information there is, the rarer are those among them that look like true pairs, and they have nearly
# all the weight: a mean of a thousand numbers that is decided by three. The number of pairs that do count is the effective sample size (ESS).
# [`ess_law`](../docs/THEOREMS.md#ess_law): *with $M$ i.i.d. negatives and $T = \ln r + c$,* the share of negatives that carry DV tends to
# $1/(1 + \chi^2) \le e^{-I}$; for Gaussian rows it is $e^{-2I}$, here $10^{-7}$. A mean of $e^T$ then rests on a handful of pairs, and so does its standard error.
#
# **`overfit`.** A network with too few rows learns the rows by heart instead of what they have in common, and then reads more on rows that it knows than on new ones. By
# default a critic is a fitted copula, its *anchor*, plus a network. Networks without it read much more on the rows they were trained on than on others: they are short of
# rows. What they read on held-out rows is not optimistic, and the information may be much larger.
#
# More rows help slowly: no method certifies more than $2 \ln n$ nats from $n$ pairs of an arbitrary law
# ([`mcallester_stratos`](../docs/THEOREMS.md#mcallester_stratos); *a promise kept for every law*). What is reported beyond rests on the critic's form.

# %% tags=["hide-input"]
blocks = mi.laws.Gaussian.with_information(8.0, dim=20)
a, b = (column.numpy() for column in blocks.sample(600, torch.Generator().manual_seed(0)))
quick = {"critic": "separable", "steps": 50, "folds": 2}
cases = {
    "infonce": mi.estimate_mi(a, b, "infonce", **quick),
    "js_dv": mi.estimate_mi(a, b, "js_dv", **quick),
    "js, no anchor": mi.estimate_mi(a, b, "js", anchor="none", steps=100, folds=2),
}
figure, axis = plt.subplots(figsize=(9.5, 2.6))
for row, (name, case) in enumerate(cases.items()):
    low, high = case.interval
    axis.plot([low, high], [row, row], color=f"C{row}", linewidth=3)
    axis.plot(case.nats, row, "o", color=f"C{row}", markersize=8)
    axis.text(14.2, row, case.verdict, va="center")
    print(f"{name}: {case.nats:.2f} nats, {case.verdict}", *case.warnings, sep="\n  ")
axis.axvline(blocks.mutual_information, color="C6", linestyle="--")
axis.set(
    yticks=range(3),
    yticklabels=cases,
    ylim=(2.6, -0.6),
    xlim=(0, 14),
    xlabel="nats (dashed: the truth)",
)
plt.show()

# %% [markdown]
# *Three estimates of 8 nats from 600 rows, with their 95 % intervals and verdicts. The intervals mean little where the verdict is not ok: they cover the
# sampling error of a given critic, not a ceiling, nor a normaliser that rests on one pair, nor what the critic has not learnt.*

# %%
assert cases["infonce"].verdict == "ceiling"
assert (
    cases["infonce"].nats
    < math.log(cases["infonce"].diagnostics["candidates"])
    < blocks.mutual_information
)
assert cases["js_dv"].verdict == "low_ess"
assert cases["js_dv"].diagnostics["effective_sample_size"] < 50
assert cases["js, no anchor"].verdict != "ok"
assert cases["js, no anchor"].nats < 7

# %% [markdown]
# ## 4. Is there anything at all? The permutation null, and what no critic sees
#
# `permutation_test` trains critics on one half of the rows and asks on the other half whether the rows as paired score higher than the same rows paired at random. *If
# the rows are exchangeable and $X$, $Y$ independent,* the p-value is exact whatever the critics are (Hemerik & Goeman 2018): its rank is uniform.
#
# The converse does not hold. Below, `parity` hides $\ln 2$ nats: the sign of $y$ is the product of the signs of ten columns. Nothing on 1000 rows leads a critic
# there, so the estimate is 0, the interval excludes the truth, the verdict is `nothing_found`, and the test is silent. **A low value is a bound that was found,
# never evidence of independence.**

# %% tags=["hide-input"]
rng = np.random.default_rng(0)
signs = rng.normal(size=(1000, 10))
hidden = np.sign(signs).prod(1) * np.abs(
    rng.normal(size=1000)
)  # I = ln 2: the sign of y is known, its size is not
pairs = {
    "the rows of section 2": (x, y),
    "y shuffled": (x, rng.permutation(y)),
    "parity": (signs, hidden),
}
small = mi.MIEstimator(steps=150, folds=2)
tests = {name: mi.permutation_test(*rows, small, permutations=200) for name, rows in pairs.items()}
unseen = mi.estimate_mi(signs, hidden, steps=100, folds=2)
print(unseen)
figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.8))
for axis, (name, test) in zip(axes, tests.items(), strict=True):
    axis.hist(test.null, bins=20, color="C6", alpha=0.6)
    axis.axvline(test.statistic, color="C4")
    axis.set(title=f"{name}: p = {test.p_value:.3f}", xlabel="mean ln σ(T)", yticks=[])
plt.show()

# %% [markdown]
# *Null of the permutation test (grey, 200 random pairings of rows that no critic saw) and the rows as they are paired (line). Left: dependence that a correlation
# misses. Middle: none. Right: ln 2 nats that the critics miss. Where they found nothing (middle and right) every pairing scores ln σ(0) = −ln 2, the null is one bar, and the
# rank among equals is drawn at random, here from the same seed.*

# %%
assert tests["the rows of section 2"].p_value < 0.01
assert all(
    abs(201 * test.p_value - round(201 * test.p_value)) < 1e-6 for test in tests.values()
)  # a rank among 201
assert tests["parity"].statistic <= max(tests["parity"].null)
assert unseen.verdict == "nothing_found"
assert unseen.interval[1] < math.log(2)  # and yet the truth is ln 2

# %% [markdown]
# ## 5. Laws that need no true value
#
# On your own rows no one knows the answer. But one knows how the answer must *change*: like a scale that is tried empty, then with the same weight twice. Shuffle one side, and
# nothing is left; add a column that is computed from another, and nothing is won; put two samples side by side that know nothing of each other, and there is twice as much.
#
# Information is 0 when the rows of $y$ are shuffled; $h(y)$ adds nothing to $y$ and holds no more; two independent copies have twice as much. `self_consistency`
# holds an estimator to these laws on your own rows. To pass is necessary, not sufficient; to fail is a reason to stop. An InfoNCE that is good on the rows
# themselves cannot double: its ceiling is in the way.

# %% tags=["hide-input"]
six = mi.laws.Gaussian.with_information(3.0, dim=3)
a, b = (column.numpy() for column in six.sample(800, torch.Generator().manual_seed(0)))
checks = {
    name: mi.self_consistency(a, b, mi.MIEstimator(name, **quick)) for name in ("js", "infonce")
}
figure, axis = plt.subplots(figsize=(9.5, 2.8))
for k, (name, result) in enumerate(checks.items()):
    print(result)
    places = np.arange(4) + 0.2 * k - 0.1
    errors = [3 * check.stderr for check in result.checks]
    axis.errorbar(
        [c.value for c in result.checks],
        places,
        xerr=errors,
        fmt="o",
        color=("C2", "C3")[k],
        label=name,
    )
for place, check in enumerate(checks["js"].checks):
    axis.plot(
        [check.expected] * 2,
        [place - 0.3, place + 0.3],
        color="C6",
        linestyle="-" if check.relation == "=" else ":",
    )
axis.set(
    yticks=range(4),
    yticklabels=[c.law for c in checks["js"].checks],
    ylim=(3.5, -0.5),
    xlabel="value",
)
axis.legend()
plt.show()

# %% [markdown]
# *Four laws on 800 rows with 3 nats, for two estimators, with three standard errors. Grey: what the law says (dotted: at most). The first row is in nats, the
# others are ratios. InfoNCE fails to double.*

# %%
assert all(check.ok for check in checks["js"].checks[:3])
assert not checks["infonce"].checks[-1].ok
assert checks["infonce"].checks[-1].value < checks["js"].checks[-1].value

# %% [markdown]
# **When to believe it: a list**
#
# 1. The rows are independent draws: the three questions of section 1. The verdict says so where the order of the rows or exact copies show it; rows that belong together
#    have a label, `groups`.
# 2. The verdict is `ok`; `dv`, `bridge` and `plug_in` agree; KSG, where there is one, too.
# 3. The folds and three seeds agree within the interval, and twice the rows change little.
# 4. The number is far from $\ln K$, and from $\frac12 \ln n$ unless you trust the critic's form (by default a copula and a network).
# 5. A low number is not independence; a p-value that is not small is neither.
# 6. You need it as a bound? Then read `js_dv` or `js_nwj` with their verdicts, not `js`.
