"""Mutual information as an area between two errors of estimation; stopped at a finite signal it is a lower bound."""

import sympy as sp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory import gaussian_immse, gaussian_information
from proofs.engine import (
    Example,
    Identity,
    Limit,
    Minimum,
    Part,
    Shipped,
    Sign,
    Tested,
    Theorem,
    positives,
    scaled,
    strategies,
    word,
)

snr, s, v, y = positives("Gamma s v y")
rho = sp.sqrt(s / (1 + s))  # ρ² = s/(1 + s)
blind, told = 1 / (1 + snr), 1 / (1 + s + snr)  # mmse(X given Z) and mmse(X given Z, Y), Gaussian
area = word("I(Y; Z)", gaussian_immse(rho, snr))
FLIPPED = {1.0: 0.194810, 4.0: 0.341061}


def gaussian_area(rho, snr):
    """½∫ of the difference of the two errors, by quadrature from the conditional variances."""
    from scipy.integrate import quad

    left = 1 - rho**2
    value = quad(lambda g: 1 / (1 + g) - left / (1 + g * left), 0, snr, epsrel=1e-12)[0]
    return value / 2


def sign_information(snr, flip):
    """I(Y; √Γ X + N) for a fair sign X and Y = X flipped with the probability `flip`, by quadrature."""
    import numpy as np
    from scipy.integrate import quad

    root = snr**0.5

    def density(z, mean):
        return np.exp(-((z - mean) ** 2) / 2) / (2 * np.pi) ** 0.5

    def integrand(z):
        up, down = density(z, root), density(z, -root)
        given = (1 - flip) * up + flip * down
        return given * np.log(given / ((up + down) / 2))

    return quad(integrand, -root - 12, root + 12, epsrel=1e-11, limit=300)[0]


def sign_area(snr, flip):
    """½∫ of the difference of the two errors for that pair, by quadrature in z and γ."""
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(40)
    gammas, shares = (nodes + 1) * snr / 2, weights * snr / 2
    z = np.linspace(-14, 14, 4001)[:, None]
    root = np.sqrt(gammas)[None, :]
    up, down = np.exp(-((z - root) ** 2) / 2), np.exp(-((z + root) ** 2) / 2)

    def error(share):
        joint = share * up + (1 - share) * down
        mean = (share * up - (1 - share) * down) / joint
        return (joint * (1 - mean**2)).sum(0) * (z[1, 0] - z[0, 0]) / (2 * np.pi) ** 0.5

    return float(shares @ (error(0.5) - error(1 - flip)) / 2)


THEOREM = Theorem(
    slug="immse_gap",
    tier="tested",
    title="½∫(mmse(X|Z) − mmse(X|Z, Y)) up to Γ is I(Y; Z_Γ): a lower bound of I(X; Y) that rises to it",
    purpose="To use a denoiser as an estimator of information, and to know that stopping early reads too little.",
    setting="""X is real with a finite second moment, Y any variable, N a standard normal one independent of
    the pair (X, Y), and Z_γ = √γ X + N; mmse is the least mean squared error of an estimate of X.""",
    formula=r"""\tfrac12 \int_0^\Gamma \bigl(\mathrm{mmse}(X | Z_\gamma) - \mathrm{mmse}(X | Z_\gamma, Y)\bigr)\,
    d\gamma = I(Y; Z_\Gamma) \le I(X; Y)""",
    assumptions=(
        "X has a finite second moment; the errors are the least ones, not those of a trained denoiser",
        "(a) X and Y are jointly Gaussian with correlation ρ, ρ² = s/(1 + s)",
    ),
    parts=(
        Part(
            "a",
            (
                """Gaussian pairs: the errors are 1/(1 + Γ) and 1/(1 + s + Γ), and half of their difference is the
                slope of """,
                Identity("the area", area, (sp.log(1 + snr) - sp.log(1 + snr / (1 + s))) / 2),
                ", which is 0 at Γ = 0 and rises to I(X; Y).",
            ),
            checks=(
                Identity("the slope", sp.diff(gaussian_immse(rho, snr), snr), (blind - told) / 2),
                Identity(
                    "the error given Y: variance 1 − ρ² seen at Γ",
                    (1 - rho**2) / (1 + snr * (1 - rho**2)),
                    told,
                ),
                Identity("the area is 0 at Γ = 0", gaussian_immse(rho, snr), 0, at={snr: 0}),
                Sign("Y helps: the difference is positive", blind - told, ">"),
                Identity(
                    "what is still missing at Γ",
                    gaussian_information(rho) - gaussian_immse(rho, snr),
                    sp.log(1 + s / (1 + snr)) / 2,
                ),
                Minimum("v − 1 − ln v", v - 1 - sp.log(v), v, 1),
                Limit(
                    "what is missing vanishes as y = 1 + Γ → ∞",
                    sp.log(1 + s / y) / 2,
                    y,
                    sp.oo,
                    0,
                    s / (2 * y),
                    because=(
                        Minimum("half of v − 1 − ln v", (v - 1 - sp.log(v)) / 2, v, 1),
                        1 + s / y,
                    ),
                ),
                Shipped(
                    "mi.theory.gaussian_immse is the area",
                    {"rho": strategies.rates(0.95), "snr": strategies.rates(50)},
                    lambda rho, snr: theory.gaussian_immse(rho, snr),
                    gaussian_area,
                    tolerance=1e-8,
                ),
                Shipped(
                    "mi.theory.gaussian_immse tends to mi.laws.Gaussian's information",
                    {"rho": strategies.rates(0.95)},
                    lambda rho: theory.gaussian_immse(rho, 1e12),
                    lambda rho: mi.laws.Gaussian(rho, 1).mutual_information,
                    tolerance=1e-9,
                ),
            ),
        ),
        Part(
            "b",
            """Every law: the area is I(Y; Z_Γ), at most I(X; Y), and rises to it as Γ → ∞. A fair sign that is
            flipped with the probability 0.1: 0.194810 at Γ = 1, 0.341061 at Γ = 4, and 0.368064 in the end.""",
            checks=(
                Tested(
                    "the area of the flipped sign is its information, and the number shown",
                    {"snr": strategies.st.sampled_from(sorted(FLIPPED))},
                    lambda snr: (
                        abs(sign_area(snr, 0.1) - FLIPPED[snr]) < 2e-6
                        and abs(sign_information(snr, 0.1) - FLIPPED[snr]) < 1e-6
                    ),
                    examples=4,
                ),
                Sign(
                    "ln 2 less the entropy of the flip > 0.3680635",
                    sp.log(2) + sp.log(v) * v + sp.log(1 - v) * (1 - v),
                    ">",
                    sp.Rational("0.3680635"),
                    at={v: sp.Rational("0.1")},
                ),
                Sign(
                    "ln 2 less the entropy of the flip < 0.3680645",
                    sp.log(2) + sp.log(v) * v + sp.log(1 - v) * (1 - v),
                    "<",
                    sp.Rational("0.3680645"),
                    at={v: sp.Rational("0.1")},
                ),
            ),
            by_hand=(
                "I-MMSE: d I(X; Z_γ)/dγ = ½ mmse(X|Z_γ), also given Y (Guo, Shamai & Verdú 2005, theorem 1)",
                "I(Y; Z_Γ) → I(X; Y): Z_Γ/√Γ → X, and information is lower semicontinuous",
                "I(X; Z) − I(X; Z|Y) = I(Y; Z) as Y − X − Z is a chain, and I(Y; Z) ≤ I(X; Y) (data processing)",
            ),
        ),
    ),
    proof="""The integral is I(X; Z_Γ) − I(X; Z_Γ|Y) by I-MMSE, once without and once given Y. Y and Z_Γ are
    independent given X, so that is I(Y; Z_Γ). For Gaussian pairs Var(X|Y) = 1 − ρ² = 1/(1 + s).""",
    example=Example(
        "the area up to Γ of a Gaussian pair",
        gaussian_area,
        gaussian_immse,
        {"rho": 0.6, "snr": 4.0},
    ),
    false_neighbours=(
        Identity(
            "stopped at Γ it is the information",
            gaussian_immse(rho, snr),
            gaussian_information(rho),
        ),
        Identity("without the ½", sp.diff(gaussian_immse(rho, snr), snr), blind - told),
        Sign(
            "an early stop reads too much",
            gaussian_immse(rho, snr) - gaussian_information(rho),
            ">=",
        ),
    ),
    mutants=(scaled("theory.gaussian_immse", 1.01),),
    uses=("ess_law",),
    about=("theory.gaussian_immse",),
    reference="""Guo, Shamai & Verdú 2005, IEEE T-IT 51(4), theorem 1; as an estimator: arXiv 2509.20609, of which
    the abstract was available.""",
)
