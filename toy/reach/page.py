"""The report's section on reach: tables and text, from rows alone."""

from __future__ import annotations

from mi_estimators.display import Page, Table, number

from ..rows import Row, of
from . import figures
from .figures import name_of
from .run import METHODS


def section(page: Page, rows: list[Row]) -> None:
    """Add what training does to pass@1 and pass@k."""
    rows = of(rows, "Reach")
    if not rows:
        return

    spec = rows[0]["spec"]
    bank = f"{len(spec['bank'])} prompts with p from {min(spec['bank']):g} to {max(spec['bank']):g}"
    page.heading("Reach: does training go beyond the base model?")
    page.text(
        f"""Each prompt has {spec["responses"]} responses: one correct, of base probability p, the others wrong and
        equally likely. RLHF (reward 1 for the correct one, penalty β KL) draws its own answers; the other losses are
        handed the correct answer and one wrong one of the same prompt, so this is about fitting these prompts, not
        about new ones. Every policy has a free logit for each response and follows the exact flow of the library's
        loss. RLHF's flow has the exact expectation; from 16 answers a step it would wait 1/(16 p) steps for a first
        signal, 6e10 at p = 1e-12. α-MIO has the one α that theory recommends for the hardest prompt of the bank: 1 −
        α = p^β at p = {min(spec["bank"]):g}."""
    )

    page.figure(
        "reach",
        figures.success_figure(rows),
        f"""Success after training against base success p, a panel for each β (MIO's first gradient at β is half of
        DPO's: compare MIO with DPO one panel earlier). Points: end of the exact flow, {spec["responses"]} responses.
        Lines, theory: base; RLHF's tilt p e^(1/β)/(1 − p + p e^(1/β)); MIO's ceiling min(1, 2^(1/β) p); α-MIO's,
        min(1, (1 − α)^(−1/β) p); DPO and SFT by their closed forms at the same finite time, {spec["time"]:g}/(β²(1 −
        α)), since their limit is 1 for every p. Dotted: the hardest prompt of the bank. To see: RLHF and MIO multiply
        a small p by a constant, e^(1/β) and 2^(1/β): what is out of reach stays out of reach, and p = 0 stays 0.
        DPO's gain in p is a constant, too, but one that grows with time, like t^(1/(2β)); SFT alone forgets p. α-MIO
        lifts the whole bank to 1, and prompts below the one that α was chosen for by the same constant. MIO's flow
        has two ends, the ceiling and 1, and which one it takes is proved only for β above ½ (theorem
        mio_tabular_limit). Below, prompts with a ceiling above about ½ end at 1, beyond it. {_beyond(rows)}""",
    )

    page.figure(
        "pass_at_k",
        figures.pass_figure(rows),
        f"""pass@k, the chance that at least one of k answers is correct, mean over {bank}. Lines: 1 − (1 − p)^k at
        theory's success after training. Points: unbiased estimator 1 − C(n − c, k)/C(n, k) from n = {spec["draws"]}
        answers a prompt drawn from the trained policies, mean of {spec["evaluations"]} evaluations; bars hold 95 % of
        single evaluations. Red dotted: RLHF's pass@1; black dotted: k = e^(1/β), from which on the base model's
        pass@k is above it on every prompt. To see: the mean over the bank crosses earlier. At the same k RLHF's
        pass@k is never below the base model's: the exact optimum of a correct reward narrows nothing, it only draws
        sooner what the base model draws later, and the two meet as k grows. The losses that are handed the answer are
        at or near 1 from k = 1 where their lift suffices; MIO's does not for the hard prompts at large β. MIO's
        points lie above its line where a prompt's flow ends at 1 beyond its ceiling.""",
    )

    page.figure(
        "overtaking",
        figures.overtaking_figure(rows),
        f"""How many base answers are worth one RLHF answer: the least k at which the base model's pass@k reaches
        RLHF's pass@1. Lines: ln(1 − p')/ln(1 − p). Dotted: the bound e^(1/β), which is the limit of small p. Points:
        the same from {spec["evaluations"]} evaluations of {spec["draws"]} answers, whole k up to
        {2 ** spec["powers"]}; no point where that many do not suffice. A point is rounded up, and at the smallest p
        it shows the noise of both estimates. To see: what RLHF adds is a factor e^(1/β) in draws on hard prompts and
        less on easy ones.""",
    )

    page.table("pass@k, mean over the bank", passes(rows), folded=True)
    page.table("Success after training (theory)", successes(rows), folded=True)


def _beyond(rows: list[Row]) -> str:
    """Say where MIO's flow ended above its ceiling."""
    beyond = []
    for row in rows:
        ends, ceilings = (row[part]["success"]["mio"] for part in ("measured", "theory"))
        beyond += [
            f"{ceiling:.2f} (β = {row['spec']['beta']:g})"
            for end, ceiling in zip(ends, ceilings, strict=True)
            if ceiling < 0.97 and end > 1.05 * ceiling
        ]

    if not beyond:
        return "Here no prompt does."

    return f"Here {len(beyond)} do, whose ceilings are {', '.join(beyond)}."


def passes(rows: list[Row]) -> Table:
    """pass@1 and pass@k of every method and β: theory, exact at the flow's end, sampled; the plug-in's bias."""
    body = []
    for row in rows:
        measured, k = row["measured"], row["theory"]["k"]
        for method in METHODS:
            sampled, theory = measured["pass_at_k"][method], row["theory"]["pass_at_k"][method]
            for at in sorted({0, len(k) // 2, len(k) - 1}):
                exact = measured["exact"][method][at]
                body.append(
                    (
                        f"{row['spec']['beta']:g}",
                        name_of(method),
                        f"{k[at]:g}",
                        f"{theory[at]:.4f}",
                        f"{exact:.4f}",
                        f"{sampled['mean'][at]:.4f} ± {1.96 * sampled['stderr'][at]:.4f}",
                        f"{sampled['plug_in'][at] - exact:+.4f}",
                    )
                )

    head = ("β", "policy", "k", "theory", "flow's end, exact", "estimator, mean [95 %]")
    return Table((*head, "plug-in's bias"), body)


def successes(rows: list[Row]) -> Table:
    """Success at the flow's end beside theory, for some p."""
    trained, body = METHODS[1:], []
    for row in rows:
        p = [*row["spec"]["far"], *row["spec"]["bank"]]
        for at in range(0, len(p), 3):
            cells = []
            for method in trained:
                end, theory = (row[part]["success"][method][at] for part in ("measured", "theory"))
                cells.append(f"{number(end, 3)} ({number(theory, 3)})")
            body.append((f"{row['spec']['beta']:g}", f"{p[at]:.2g}", *cells))

    return Table(("β", "p", *(f"{name_of(method)} (theory)" for method in trained)), body)
