"""The machinery: each kind of claim on statements whose truth is known, and where it must not overreach."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from proofs.engine import tested
from proofs.engine.certify import Certified, certify, compile_ball, exact
from proofs.engine.points import domain
from proofs.engine.shipped import Shipped, compiled
from proofs.engine.symbolic import Identity, Limit, Minimum, Sign

x, y = sp.symbols("x y", real=True)
a, b, t = sp.symbols("a b t", positive=True)
n = sp.Symbol("n", positive=True, integer=True)


def decided(claim):
    return claim.decide().verdict


THIRD, TINY = sp.Rational(1, 3), sp.Rational(1, 10**6)


class TestCertify:
    @pytest.mark.parametrize(
        ("expr", "relation", "box", "budget", "verdict"),
        [
            (sp.exp(x) - 1 - x + TINY, ">", {x: (-3, 3)}, None, "proved"),
            (sp.exp(x) - 1 - x + TINY, ">", {x: (-3, 3)}, 3, "undecided"),
            ((x - THIRD) ** 2 - TINY, ">", {x: (0, 1)}, None, "refuted"),  # at few points only
            ((x - THIRD) ** 2 * sp.exp(x), ">", {x: (0, 1)}, 200, "undecided"),  # it touches
            (sp.log(4) - 2 * sp.log(2), ">", {}, None, "undecided"),  # equal
            (sp.Integer(0), ">", {}, None, "refuted"),
            (sp.Integer(0), ">=", {}, None, "proved"),
            (1 + x**2, ">", {x: (-1, 1)}, None, "proved"),
            (1 + x**2, ">=", {x: (-1, 1)}, None, "proved"),
            (1 + x**2, "<", {x: (-1, 1)}, None, "refuted"),
            (1 + x**2, "<=", {x: (-1, 1)}, None, "refuted"),
            (sp.log(1 + sp.exp(x)) + TINY, ">", {x: (-100, 100)}, 1, "proved"),  # wide softplus
            (sp.log(x) + 100, ">", {x: (-1, 1)}, 50, "undecided"),  # outside its domain
        ],
    )
    def test_verdicts(self, expr, relation, box, budget, verdict):
        options = {} if budget is None else {"budget": budget}
        assert certify(expr, relation, box, **options).verdict == verdict

    def test_details(self):
        """It says the box, the witness and the tail."""
        claim = Certified(
            "c",
            1 + x**2,
            ">",
            {x: (-1, 1)},
            tail="x² ≥ 0",
        )
        detail = claim.decide().detail

        assert "x ∈ [-1, 1]" in detail
        assert detail.endswith("outside: x² ≥ 0")

        outcome = certify(
            x**2 - y,
            ">",
            {x: (-1, 1), y: (0, 2)},
        )

        assert outcome.witness == "x = 0, y = 1: value -1.0000000"

    def test_boxes(self):
        """The box has the free symbols and ordered ends."""
        with pytest.raises(ValueError, match=r"^box: expected ordered ends for \['x', 'y'\]"):
            certify(x + y, ">", {x: (0, 1)})
        with pytest.raises(ValueError, match=r"^box: "):
            certify(x, ">", {x: (1, 0)})

    @pytest.mark.parametrize(("n", "low", "high"), [(1, -2, 2), (2, 0, 4), (3, -8, 8), (4, 0, 16)])
    def test_powers(self, n, low, high):
        margin = sp.Rational(1, 10**6)
        assert certify(x**n - low + margin, ">", {x: (-2, 2)}, budget=1).verdict == "proved"
        assert certify(high - x**n + margin, ">", {x: (-2, 2)}, budget=1).verdict == "proved"

    def test_exact_numbers(self):
        third = compile_ball(sp.Rational(1, 3))({})
        assert (3 * third).contains(1)
        assert exact(sp.Rational(1, 4)) == 0.25

        with pytest.raises(TypeError, match="no enclosure for Float"):
            compile_ball(sp.Float(0.1))
        with pytest.raises(TypeError, match="no enclosure for sin"):
            compile_ball(sp.sin(x))

    @pytest.mark.parametrize(
        ("expr", "value"),
        [
            (sp.Min(x, 2) + sp.Max(x, 2, 5), 6),
            (sp.Abs(-x), 1),
            (sp.tanh(x - 1) + sp.pi - sp.pi + x**-2, 1),
            (4 ** (x / 2), 2),
        ],
    )
    def test_enclosures(self, expr, value):
        assert compile_ball(expr)({x: exact(1)}).contains(value)

    @given(st.fractions(-3, 3), st.fractions(0, 2), st.fractions(0, 1))
    def test_enclosed_values(self, low, width, share):
        """An enclosure contains the value at every point."""
        expr = sp.log(1 + sp.exp(x)) * x - sp.exp(-(x**2)) / (2 + x**2)
        inner = compile_ball(expr)({x: exact(low + share * width)})
        outer = compile_ball(expr)({x: exact(low).union(exact(low + width))})
        assert outer.overlaps(inner)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (sp.log(1 + sp.exp(x)) - sp.log(1 + sp.exp(-x)), x),
        (sp.log(6 * a / b), sp.log(2) + sp.log(3) + sp.log(a) - sp.log(b)),
        (sp.exp(x / 2) * sp.exp(x / 3), sp.exp(5 * x / 6)),
        ((a * sp.exp(x)) ** b, sp.exp(b * x) * a**b),
        ((1 + a) ** (1 / b), sp.exp(sp.log(1 + a) / b)),
        (1 - a / (1 + a), 1 / (1 + a)),
        (a ** (n + 1), a * a**n),
        (sp.log(3 * sp.sqrt(3) / 2), sp.Rational(3, 2) * sp.log(3) - sp.log(2)),
        (sp.diff(sp.log(1 + sp.exp(x)), x), 1 / (1 + sp.exp(-x))),
    ],
)
def test_true_identities(left, right):
    assert decided(Identity("i", left, right)) == "proved"


@pytest.mark.parametrize(
    ("expr", "relation"),
    [
        (sp.log(1 + sp.exp(x)), ">"),
        (sp.exp(a * t) - 1, ">"),
        (sp.exp(-t) - 1, "<"),
        (a * x**2, ">="),
        (1 / (1 + sp.exp(x)) - 1, "<"),
        (-((x - y) ** 2), "<="),
        (n * a / (n + 1), ">"),
        ((1 + a) ** 2 - 1 - 2 * a - a**2, ">="),  # zero
    ],
)
def test_true_signs(expr, relation):
    assert decided(Sign("s", expr, relation)) == "proved"


@pytest.mark.parametrize(
    "claim",
    [
        Identity("i", sp.log(1 + sp.exp(x)), x),
        Identity("i", sp.log(a * b), sp.log(a) - sp.log(b)),
        Identity("i", sp.sqrt(x**2), x),
        Identity("i", sp.exp(x + y), sp.exp(x) + sp.exp(y)),
        Identity("i", a, a + sp.Rational(1, 10**9)),
        Sign("s", x, ">"),
        Sign("s", a - 1, ">"),
        Sign("s", sp.exp(x) - 2, "<"),
        Sign("s", x**2, ">"),
        Sign("s", -a, ">="),
        Sign("s", (1 + a) ** 2 - 1 - 2 * a - a**2, ">"),  # zero
    ],
)
def test_witnesses(claim):
    """False claims have a witness."""
    outcome = claim.decide()
    assert outcome.verdict == "refuted"
    assert "value" in outcome.witness


def test_undecided():
    """What cannot be reduced is undecided."""
    assert decided(Identity("i", sp.tanh(x), 1 - 2 / (sp.exp(2 * x) + 1))) == "undecided"
    assert decided(Sign("s", a - sp.log(1 + a), ">")) == "undecided"


def test_domains():
    detail = Identity("i", x + a, a + x).decide().detail
    assert detail == "left − right reduces to 0; a > 0; x real"
    assert domain(n) == "n positive integer"


OTHER = [{}, {"nonnegative": True}, {"integer": True}, {"negative": True}]


@pytest.mark.parametrize(
    ("left", "right", "error", "message"),
    [
        *((sp.Symbol("z", **kind), 1, TypeError, "a symbol declared real") for kind in OTHER),
        (0.5 * x, x / 2, TypeError, "got a float"),
        (sp.true, 1, TypeError, "expected an expression or a number, got Boolean"),
        (sp.log(1 - a) + a, sp.log((1 - a) * sp.exp(a)), ValueError, "no finite value at a = 1"),
    ],
)
def test_no_value(left, right, error, message):
    """What has no value on a known domain is refused."""
    with pytest.raises(error, match=message):
        Identity("i", left, right).decide()


@pytest.mark.parametrize(
    ("f", "symbol", "at", "value", "verdict"),
    [
        (x**2 + 2 * x, x, -1, -1, "proved"),
        (a - 1 - sp.log(a), a, 1, 0, "proved"),
        (x**2 + 2 * x, x, -1, -2, "refuted"),
        (-(x**2), x, 0, 0, "refuted"),
        (a**3 + 3 * a**2, a, -2, 4, "refuted"),  # stationary, but outside of a > 0
        (a**3 + 3 * a**2, a, 0, 0, "refuted"),  # at its edge
        (x**4, x, 0, 0, "refuted"),  # f'' = 0 there
    ],
)
def test_minimum(f, symbol, at, value, verdict):
    assert decided(Minimum("m", f, symbol, at, value)) == verdict


@pytest.mark.parametrize(
    ("expr", "to", "value", "bound", "verdict"),
    [
        (1 / (1 + t), sp.oo, 0, 1 / t, "proved"),
        (t / (1 + t), 0, 0, t, "proved"),
        (sp.exp(-2 * t), sp.oo, 0, sp.exp(-t), "proved"),
        (1 / (1 + t), sp.oo, 0, 1 / (3 * t), "refuted"),  # the bound is too small
        (1 / (1 + t), sp.oo, 1, t, "undecided"),  # the bound does not vanish
        (1 / (1 + t), 0, 0, 1 / t, "undecided"),
        (1 / (1 + t), sp.oo, 0, a * t / t**2, "refuted"),  # with a factor that may be small
        (t, 0, 0, t**a, "undecided"),  # a power that is no number
    ],
)
def test_limit(expr, to, value, bound, verdict):
    assert decided(Limit("l", expr, t, to, value, bound)) == verdict


def test_limit_by_a_minimum():
    least = Minimum("y − 1 − ln y", a - 1 - sp.log(a), a, 1)
    expr = sp.log(1 + sp.exp(-t))
    bound = sp.exp(-t)

    assert decided(Limit("l", expr, t, sp.oo, 0, bound)) == "undecided"

    because = (least, 1 + sp.exp(-t))
    assert decided(Limit("l", expr, t, sp.oo, 0, bound, because)) == "proved"
    assert decided(Limit("l", expr, t, sp.oo, 0, 2 * bound, because)) != "proved"


def test_given_values():
    assert decided(Identity("i", a**2, 4 * b, at={a: 2, b: 1})) == "proved"
    assert decided(Sign("s", a**2, ">", than=5, at={a: 2})) == "refuted"
    assert decided(Certified("c", a * x, ">", {x: (1, 2)}, than=1, at={a: 3})) == "proved"


GIVEN = {"k": st.integers(0, 1000)}


class TestTested:
    def test_survival(self):
        """A true property survives and says how many examples."""
        outcome = tested.Tested("t", GIVEN, lambda k: k >= 0, examples=30).decide()
        assert (outcome.verdict, outcome.detail) == ("survived", "30 examples")

    def test_small_witness(self):
        """A false property is refuted with a small witness."""
        outcome = tested.Tested("t", GIVEN, lambda k: k < 100).decide()
        assert (outcome.verdict, outcome.witness) == ("refuted", "k = 100")

    def test_same_search(self):
        drawn = []
        claim = tested.Tested(
            "t",
            GIVEN,
            lambda k: drawn.append(k) is None,
            examples=10,
        )
        claim.decide()
        first = drawn.copy()
        claim.decide()

        assert drawn == 2 * first

    def test_raised_error(self):
        """An error in the property is no refutation."""
        with pytest.raises(ZeroDivisionError):
            tested.Tested("t", GIVEN, lambda k: 1 / 0).decide()


class TestShipped:
    def test_agreement(self):
        claim = Shipped(
            "s",
            GIVEN,
            lambda k: [k, 2 * k],
            lambda k: [k + 1e-12, 2 * k],
        )

        assert decided(claim) == "survived"

    @pytest.mark.parametrize(
        "library",
        [lambda k: k + 1e-6, lambda k: [k], lambda k: float("nan"), lambda k: float("inf")],
    )
    def test_disagreement(self, library):
        assert decided(Shipped("s", GIVEN, library, lambda k: k)) == "refuted"

    def test_precision(self):
        """Compiled expressions are precise."""
        assert compiled(sp.log(1 + sp.exp(x)) - x)(x=60.0) == pytest.approx(
            8.7565107626965e-27, rel=1e-10
        )
