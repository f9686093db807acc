"""Claims of the theorem objects as goals of Coq, each with a certificate that the project's own `Atoms` gives.

A goal is printed from the Python object, so that it cannot drift from it. Its proof names each e^m and each ln f of the
claim, says what every exponential and logarithm in it is in these names, and leaves an identity or a sign of rational
functions. What sympy computed before the claim was made, a derivative say, is not checked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import sympy as sp

from ..engine.certify import Certified
from ..engine.symbolic import Atoms, Identity, Sign, exponents
from ..engine.theorem import Claim, Theorem
from ..engine.vocabulary import expression, placed
from .printer import coq, ordered, variable
from .record import digest
from .signs import shows, with_plain_factors

KINDS = {Identity: "identity", Sign: "sign", Certified: "box"}
"""Kind of claim → what the record counts it as."""


@dataclass(frozen=True)
class Goal:
    """A claim as a goal: where it stands, its kind, and the text of the statement and of the proof."""

    slug: str
    name: str
    kind: str
    statement: str
    script: str

    @property
    def digest(self) -> str:
        """A hash of the statement."""
        return digest(self.statement)


def sides(claim: Any) -> tuple[sp.Expr, str, sp.Expr]:
    """Return both sides of a claim, its values put in, and the relation."""
    if isinstance(claim, Identity):
        return placed(claim.left, claim.at), "=", placed(claim.right, claim.at)
    return placed(claim.expr, claim.at), claim.relation, placed(claim.than, claim.at)


def quantified(symbols: list[Any], box: Mapping[Any, Any] | None = None) -> tuple[str, str]:
    """Return "forall x, 0 < x -> " for symbols of their domain or of a box, and the names of what it introduces."""
    bound, hypotheses, names = "", [], []
    for symbol in symbols:
        name = variable(symbol)
        bound += f"{name} "
        names.append(name)
        if box is not None:
            low, high = (coq(sp.Rational(str(Fraction(str(end))))) for end in box[symbol])
            hypotheses.append((f"{low} <= {name} <= {high}", f"H{name}"))
        elif symbol.is_positive:
            hypotheses.append((f"1 <= {name}" if symbol.is_integer else f"0 < {name}", f"H{name}"))

    if not symbols:
        return "", ""

    premises = "".join(f"{text} -> " for text, _ in hypotheses)
    return f"forall {bound.strip()} : R, {premises}", " ".join(
        [*names, *(h for _, h in hypotheses)]
    )


class Certificate:
    """The names of a claim's exponentials and logarithms, and the equations that bring it down to them."""

    def __init__(self, *exprs: sp.Expr) -> None:
        self.atoms = Atoms(sp.Add(*(c * e for c, e in zip((1, sp.Dummy()), exprs, strict=False))))
        self.names: dict[sp.Basic, str] = {}  # a new symbol of `Atoms` → its name
        self.lines: list[str] = []
        self.equations: dict[str, str] = {}  # text of a node → the name of its equation
        self.stated: set[sp.Basic] = set()

    def show(self, rewritten: sp.Basic) -> str:
        """Return a rewritten expression in the names."""
        self.introduce(rewritten)
        return coq(rewritten, self.names)

    def introduce(self, rewritten: sp.Basic) -> None:
        """Name the new symbols of a rewritten expression that have no name yet."""
        new = rewritten.free_symbols - set(self.names)
        meanings = {next(iter(s.free_symbols)): (key, s) for key, s in self.atoms.symbols.items()}
        for dummy in sorted(
            (s for s in new if s in meanings), key=lambda s: cast(Any, s).dummy_index
        ):
            if dummy in self.names:
                continue
            (kind, inner), symbol = meanings[dummy]
            self.name_exponential(dummy, symbol) if kind == "exp" else self.name_logarithm(
                dummy, inner
            )

    def name_exponential(self, dummy: sp.Basic, symbol: sp.Expr) -> None:
        """Name e^x, or e^x − 1 where x > 0."""
        exponent = self.atoms.meaning[symbol]
        name = f"G{len(self.names) + 1}"
        above_one = symbol != dummy
        self.names[dummy] = name
        x = coq(exponent)
        value = f"exp {x} - 1" if above_one else f"exp {x}"
        self.lines.append(f"destruct (named ({value})) as [{name} E{name}].")

        if above_one:
            proof = f"rewrite E{name}; assert (0 < {x}) by pos; pose proof (exp_ineq1_le {x}); lra"
        else:
            proof = f"rewrite E{name}; apply exp_pos"

        self.lines.append(f"assert (P{name} : 0 < {name}) by ({proof}).")
        self.lines.append(
            f"assert (X{name} : exp {x} = {coq(symbol, self.names)}) by (rewrite E{name}; ring)."
        )

    def name_logarithm(self, dummy: sp.Basic, inner: sp.Expr) -> None:
        """Name ln f, f in the names; it is positive where f > 1."""
        text = self.show(inner)
        name = f"L{len(self.names) + 1}"
        self.names[dummy] = name
        self.lines.append(f"destruct (named (ln {text})) as [{name} E{name}].")

        if cast(Any, dummy).is_positive:
            above = self.show(sp.expand(inner - 1))
            self.lines.append(
                f"assert (P{name} : 0 < {name}) by (rewrite E{name}; apply ln_pos; apply Rminus_lt_0; "
                f"replace ({text} - 1) with {above} by ring; pos)."
            )

    def state(self, expr: sp.Basic) -> None:
        """State the equation of every exponential and logarithm in an expression, innermost first."""
        for argument in ordered(expr.args):
            self.state(argument)
        if expr in self.stated:
            return

        self.stated.add(expr)
        if powers := exponents(expr):
            self.state_exponential(cast(sp.Expr, expr), powers)
        elif isinstance(expr, sp.log):
            self.state_logarithm(expr)

    def add(self, node: str, value: str, proof: list[str]) -> None:
        """Add the equation of a node, unless the same text has one."""
        if node in self.equations:
            return

        name = f"N{len(self.equations) + 1}"
        rewriting = self.rewriting()
        script = " ".join(proof).replace("REWRITE", rewriting)
        self.lines.append(f"assert ({name} : {node} = {value}).\n  {{ {script} }}")
        self.equations[node] = name

    def rewriting(self) -> str:
        """Return the tactic that rewrites by the equations so far, the longest node first."""
        longest = sorted(self.equations, key=len, reverse=True)
        return (
            f"rewrite {', '.join(f'?{self.equations[node]}' for node in longest)}"
            if longest
            else "idtac"
        )

    def state_exponential(self, expr: sp.Expr, powers: Mapping[sp.Expr, sp.Rational]) -> None:
        """State e^{Σ c·m} = Π of named powers."""
        node = coq(expr)
        if node in self.equations:
            return
        if expr.is_Pow and not isinstance(expr, sp.exp) and expr is not sp.E:
            self.state(sp.log(cast(Any, expr).base, evaluate=False))

        items, value = [], self.show(self.atoms(expr))
        logarithms: list[sp.Expr] = []
        for monomial, c in powers.items():
            self.state(monomial)
            if isinstance(monomial, sp.log) and c.is_Integer:
                items.append((int(c), coq(monomial)))
                self.state(monomial.args[0])
                logarithms.append(monomial)
                continue
            root = self.atoms.roots[monomial]
            self.introduce(self.atoms.power(monomial, cast(Any, sp.Rational(1, root))))
            items.append((int(c * root), coq(monomial / root)))

        exponent = "; ".join(f"(({k})%Z, {x})" for k, x in items)
        inner = node.removeprefix("(exp ").removesuffix(")") if node.startswith("(exp ") else node
        # The last names first: their exponents may hold exponentials that were named before.
        named = " ".join(
            f"rewrite ?X{name}." for name in reversed(self.names.values()) if name.startswith("G")
        )
        positive = " ".join(
            f"rewrite ?(exp_ln {coq(m.args[0])}) by (REWRITE; signed)." for m in logarithms
        )
        self.add(
            node,
            value,
            [
                f"replace {inner} with (zlin [{exponent}]) by (zcompute; REWRITE; equal).",
                "rewrite exp_zlin; unfold zmap; cbn [map fst snd].",
                positive,
                named,
                "zcompute. REWRITE. equal.",
            ],
        )

    def state_logarithm(self, expr: sp.Expr) -> None:
        """State ln Π f^k = Σ k of named logarithms."""
        argument = cast(sp.Expr, expr.args[0])
        node, value = coq(expr), self.show(self.atoms(expr))
        rewritten = expression(sp.together(self.atoms(argument)))
        pieces = list(self.factors(rewritten))

        if len(pieces) == 1 and pieces[0][0] == rewritten:
            items = f"((1)%Z, {self.show(rewritten)})"
        else:
            items = "; ".join(f"(({k})%Z, {self.show(sp.expand(f))})" for f, k in pieces)

        names = [name for name in self.names.values() if name.startswith("L")]
        back = " ".join(f"try rewrite <- E{name}." for name in names)
        # ln e^x = x where a factor is a named exponential
        plain = " ".join(
            f"try rewrite <- X{name}, ln_exp."
            for name in self.names.values()
            if name.startswith("G")
        )

        self.add(
            node,
            value,
            [
                f"replace {coq(argument)} with (zprod [{items}]) by (zcompute; REWRITE; equal).",
                "rewrite ln_zprod by factors. unfold zmap; cbn [map fst snd].",
                back,
                plain,
                "zcompute. REWRITE. equal.",
            ],
        )

    def factors(self, argument: sp.Expr) -> Iterator[tuple[sp.Expr, int]]:
        """Yield the factors of a rational function as `Atoms.log` splits it, or the whole if it does not."""
        pieces: list[tuple[sp.Expr, int]] = []
        sign: Any = sp.Integer(1)
        for side, power in zip(sp.fraction(argument), (1, -1), strict=True):
            constant, parts = sp.factor_list(side)  # type: ignore
            primes: dict[int, int] = sp.factorrat(abs(constant))  # type: ignore
            sign *= sp.sign(constant)
            pieces += [(sp.Integer(prime), k * power) for prime, k in primes.items()]
            pieces += [(-f, k * power) if f.is_negative else (f, k * power) for f, k in parts]
            sign *= sp.prod((-1) ** k for f, k in parts if f.is_negative)

        if sign != 1 or not all(sp.expand(f).is_positive for f, _ in pieces):
            pieces = [(argument, 1)]
        yield from pieces


def identity(left: sp.Expr, right: sp.Expr) -> str:
    """Return a proof of left = right."""
    certificate = Certificate(left, right)
    for side in (left, right):
        certificate.atoms(side)
        certificate.state(side)
    return "\n  ".join([*certificate.lines, f"{certificate.rewriting()}.", "equal."])


def sign(expr: sp.Expr, relation: str) -> str:
    """Return a proof of expr relation 0."""
    plain = with_plain_factors(expr)
    if relation in (">", ">=") and expr.has(sp.log) and shows(plain):
        rewritten = f"replace {coq(expr)} with {coq(plain)} by equal; " if plain != expr else ""
        return f"{rewritten}signed."

    certificate = Certificate(expr)
    form = sp.factor(sp.together(certificate.atoms(expr)))
    certificate.state(expr)
    above, below = sp.fraction(form)
    forms = dict.fromkeys(
        certificate.show(cast(sp.Expr, f))
        for f in (
            form,
            above / below,
            sp.expand(above) / sp.expand(below),
            sp.expand(above) / below,
        )
    )

    tries = " | ".join(f"solve [ replace GOAL with {f} by equal; signed ]" for f in forms)
    proof = f"{certificate.rewriting()}; match goal with |- ?e {relation} 0 => first [ solve [signed] | {tries} ] end."
    return "\n  ".join([*certificate.lines, proof.replace("GOAL", "e")])


def read(claim: Any) -> tuple[list[Any], str, str, str]:
    """Return a claim's symbols, "forall … -> ", the names that this introduces, and the relation between its sides."""
    left, relation, right = sides(claim)
    box = dict(claim.box) if isinstance(claim, Certified) else None
    symbols: list[Any] = sorted(left.free_symbols | right.free_symbols, key=str)
    forall, intros = quantified(symbols, box)
    return symbols, forall, intros, f"{coq(left)} {relation} {coq(right)}"


def statement(claim: Any) -> str:
    """Return a claim as a statement of Coq.

    >>> x = sp.Symbol("x", positive=True)
    >>> statement(Sign("", sp.log(1 + x), ">"))
    'forall v_x : R, 0 < v_x -> (ln (1 + v_x)) > 0'

    Raises:
        Untranslated: an expression has no word in Coq here.
    """
    _, forall, _, relation = read(claim)
    return f"{forall}{relation}"


def goal(slug: str, claim: Any) -> Goal:
    """Return a claim as a goal, with a proof."""
    symbols, forall, intros, shown = read(claim)
    left, relation, right = sides(claim)
    lines = [f"intros {intros}."] if intros else []
    lines += [
        f"assert (P{variable(s)} : 0 < {variable(s)}) by lra." for s in symbols if s.is_integer
    ]

    if isinstance(claim, Certified) or (not symbols and relation != "="):
        lines.append(enclosed(symbols))
    elif relation == "=":
        lines.append(identity(left, right))
    else:
        if right != 0:
            lines.append(f"cut ({coq(left - right)} {relation} 0); [intros; lra|].")
        lines.append(sign(left - right, relation))

    return Goal(slug, claim.name, KINDS[type(claim)], f"{forall}{shown}", "\n  ".join(lines))


def enclosed(symbols: list[Any]) -> str:
    """Return a proof by interval arithmetic, cut along each symbol if need be."""
    cuts = "".join(f", i_bisect {variable(s)}" for s in symbols)
    slopes = f", i_autodiff {variable(symbols[0])}" if symbols else ""
    taylor = f", i_taylor {variable(symbols[0])}, i_degree 8" if symbols else ""
    tries = [
        "interval with (i_prec 60)",
        "interval with (i_prec 120)",
        f"interval with (i_prec 60{cuts}, i_depth 20)",
        f"interval with (i_prec 60{cuts}{slopes}, i_depth 20)",
        f"interval with (i_prec 80{cuts}{taylor}, i_depth 20)",
    ]

    return f"first [ {' | '.join(f'solve [{t}]' for t in dict.fromkeys(tries))} ]."


def claims(theorem: Theorem) -> list[Claim]:
    """Return the claims of a theorem that are counted: its identities, signs and boxes, no cross-check."""
    return [c for c in theorem.checks if type(c) in KINDS and not c.cross_check]
