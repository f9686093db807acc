"""Experts: what may carry the value of an estimate, beside or instead of a network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Expert:
    """A row of `EXPERTS`.

    Attributes:
        name: key of the row, as `MIEstimate.expert` says it.
        form: the log-ratio, or the estimate, in symbols.
        use: where it helps.
        choice: how it comes to carry the value.
        reference: source.
    """

    name: str
    form: str
    use: str
    choice: str
    reference: str


EXPERTS: dict[str, Expert] = {
    row.name: row
    for row in (
        Expert(
            name="network",
            form="T = ln ¼ Σ_k exp(f_k(x)·g_k(y) + a_k(x) + b_k(y) + γ_k A(x, y)), or a critic of yours",
            use="any dependence that it has the rows to learn",
            choice="the weights of the step that does best on validation rows; step 0 is the anchor alone",
            reference="van den Oord et al. 2018; Poole et al. 2019",
        ),
        Expert(
            name="copula",
            form="A = ln dP/dQ of a Gaussian or Student law of the columns, or of their normal scores",
            use="elliptical laws and their increasing maps, at any information; 10 nats from 10 000 rows",
            choice="the law that does best on validation rows; it carries the value where no network gains there",
            reference="Hotelling 1936; Demarta & McNeil 2005",
        ),
        Expert(
            name="additive",
            form="A = ln p(y − Bx) − ln q(y), by kernels in canonical coordinates; or the other way",
            use="y linear in x plus independent noise of any law: uniform, skewed, bounded, in lumps",
            choice="as the copula, where the noise's own law fits validation rows 0.01 nats better than a Gaussian one",
            reference="Darmois 1953; Shimizu et al. 2006",
        ),
        Expert(
            name="classifier",
            form="T = ln Σ_e w_e p_e(c | x) − ln p(c): a softmax network, shrunk LDA, 8 and 24 nearest rows, counts",
            use="a side whose rows repeat: labels, few numbers, one-hot columns",
            choice="in place of a network where a side has at most 1000 kinds, and 8 rows to a kind",
            reference="Ledoit & Wolf 2004; McAllester & Stratos 2020",
        ),
        Expert(
            name="counts",
            form="Ĥ(X) + Ĥ(Y) − Ĥ(X, Y), each with its bias of first order taken off",
            use="both sides repeat and nearly every row shares its cell",
            choice="where at most 0.3 % of the rows are alone in their cell",
            reference="Miller 1955; Paninski 2003",
        ),
        Expert(
            name="neighbours",
            form="ψ(k) + ψ(n) − mean [ψ(n_x + 1) + ψ(n_y + 1)], k = 3",
            use="one or two columns a side; pictures, by the distance of rows at one scale",
            choice="where it reads 2.5 standard errors more than the critics do on their training rows",
            reference="Kraskov et al. 2004; Gao et al. 2017; Ross 2014",
        ),
    )
}
"""Experts by name: the log-ratio or the estimate, where it helps, and when it carries the value."""
