"""The machinery: each kind of claim on statements whose truth is known, and where it must not overreach."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from proofs.engine import tested
from proofs.engine.certify import Certified, certify, compile_ball, exact
from proofs.engine.points import domain
from proofs.engine.shipped import Shipped, batches, compiled
from proofs.engine.symbolic import Identity, Sign, minimum, sign

x, y = sp.symbols("x y", real=True)
a, b, t = sp.symbols("a b t", positive=True)
n = sp.Symbol("n", positive=True, integer=True)


def decided(claim):
    return claim.decide().verdict


class TestCertify:
    def test_true_on_the_box(self):
        outcome = certify(sp.exp(x) - 1 - x + sp.Rational(1, 100), ">", {x: (-3, 3)})
        assert outcome.verdict == "proved"
        assert "x ∈ [-3, 3]" in outcome.detail

    def test_false_with_a_witness_inside_the_box(self):
        outcome = certify(x**2 - y, ">", {x: (-1, 1), y: (0, 2)})
        assert outcome.verdict == "refuted"
        assert outcome.witness == "x = 0, y = 1: value -1.0000000"

    def test_false_at_few_points_only(self):
        outcome = certify((x - sp.Rational(1, 3)) ** 2 - sp.Rational(1, 10**6), ">", {x: (0, 1)})
        assert outcome.verdict == "refuted"

    def test_undecided_when_the_budget_is_too_small(self):
        claim = sp.exp(x) - 1 - x + sp.Rational(1, 10**6), ">", {x: (-3, 3)}
        assert certify(*claim, budget=3).verdict == "undecided"
        assert certify(*claim).verdict == "proved"

    def test_undecided_where_it_touches(self):
        assert certify((x - sp.Rational(1, 3)) ** 2, ">=", {x: (0, 1)}, budget=200).verdict in {
            "undecided",
            "proved",
        }
        assert (
            certify((x - sp.Rational(1, 3)) ** 2 * sp.exp(x), ">", {x: (0, 1)}, budget=200).verdict
            == "undecided"
        )

    def test_an_equality_is_not_a_strict_inequality(self):
        assert certify(sp.log(4) - 2 * sp.log(2), ">", {}).verdict == "undecided"
        assert certify(sp.Integer(0), ">", {}).verdict == "refuted"
        assert certify(sp.Integer(0), ">=", {}).verdict == "proved"

    @pytest.mark.parametrize("relation", [">", ">=", "<", "<="])
    def test_relations(self, relation):
        expected = "proved" if relation in (">", ">=") else "refuted"
        assert certify(1 + x**2, relation, {x: (-1, 1)}).verdict == expected

    def test_wide_softplus_keeps_its_sign(self):
        assert (
            certify(
                sp.log(1 + sp.exp(x)) + sp.Rational(1, 1000), ">", {x: (-100, 100)}, budget=1
            ).verdict
            == "proved"
        )

    def test_outside_its_domain_nothing_is_proved(self):
        assert certify(sp.log(x) + 100, ">", {x: (-1, 1)}, budget=50).verdict == "undecided"

    def test_the_box_has_the_free_symbols_and_ordered_ends(self):
        with pytest.raises(ValueError, match=r"^box: expected ordered ends for \['x', 'y'\]"):
            certify(x + y, ">", {x: (0, 1)})
        with pytest.raises(ValueError, match=r"^box: "):
            certify(x, ">", {x: (1, 0)})

    @pytest.mark.parametrize(("n", "low", "high"), [(1, -2, 2), (2, 0, 4), (3, -8, 8), (4, 0, 16)])
    def test_powers_of_a_box_around_zero(self, n, low, high):
        margin = sp.Rational(1, 10**6)
        assert certify(x**n - low + margin, ">", {x: (-2, 2)}, budget=1).verdict == "proved"
        assert certify(high - x**n + margin, ">", {x: (-2, 2)}, budget=1).verdict == "proved"

    def test_numbers_are_exact(self):
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
    def test_an_enclosure_contains_the_value_at_every_point(self, low, width, share):
        expr = sp.log(1 + sp.exp(x)) * x - sp.exp(-(x**2)) / (2 + x**2)
        inner = compile_ball(expr)({x: exact(low + share * width)})
        outer = compile_ball(expr)({x: exact(low).union(exact(low + width))})
        assert outer.overlaps(inner)

    def test_the_tail_is_shown(self):
        claim = Certified("c", 1 + x**2, ">", {x: (-1, 1)}, tail="x² ≥ 0")
        assert claim.decide().detail.endswith("outside: x² ≥ 0")


class TestIdentity:
    @pytest.mark.parametrize(
        ("left", "right"),
        [
            (sp.log(1 + sp.exp(x)) - sp.log(1 + sp.exp(-x)), x),
            (sp.log(6 * a / b), sp.log(2) + sp.log(3) + sp.log(a) - sp.log(b)),
            (sp.exp(x / 2) * sp.exp(x / 3), sp.exp(5 * x / 6)),
            ((a * sp.exp(x)) ** b, sp.exp(b * x) * a**b),
            ((1 + a) ** (1 / b) ** 1, sp.exp(sp.log(1 + a) / b)),
            (1 - a / (1 + a), 1 / (1 + a)),
            (a ** (n + 1), a * a**n),
            (sp.log(3 * sp.sqrt(3) / 2), sp.Rational(3, 2) * sp.log(3) - sp.log(2)),
            (sp.diff(sp.log(1 + sp.exp(x)), x), 1 / (1 + sp.exp(-x))),
        ],
    )
    def test_true_ones(self, left, right):
        assert decided(Identity("i", left, right)) == "proved"

    @pytest.mark.parametrize(
        ("left", "right"),
        [
            (sp.log(1 + sp.exp(x)), x),
            (sp.log(a * b), sp.log(a) - sp.log(b)),
            (sp.sqrt(x**2), x),
            (sp.exp(x + y), sp.exp(x) + sp.exp(y)),
            (a, a + sp.Rational(1, 10**9)),
        ],
    )
    def test_false_ones_have_a_witness(self, left, right):
        outcome = Identity("i", left, right).decide()
        assert outcome.verdict == "refuted"
        assert "value" in outcome.witness

    def test_what_it_cannot_reduce_is_undecided(self):
        assert decided(Identity("i", sp.tanh(x), 1 - 2 / (sp.exp(2 * x) + 1))) == "undecided"

    def test_its_domain_is_said(self):
        assert (
            Identity("i", x + a, a + x).decide().detail
            == "left − right reduces to 0; a > 0; x real"
        )
        assert domain(n) == "n positive integer"

    @pytest.mark.parametrize(
        "symbol",
        [
            sp.Symbol("z"),
            sp.Symbol("z", nonnegative=True),
            sp.Symbol("z", integer=True),
            sp.Symbol("z", negative=True),
        ],
    )
    def test_a_domain_that_is_none_of_the_three_is_refused(self, symbol):
        with pytest.raises(TypeError, match="expected a symbol declared real"):
            Identity("i", symbol, symbol + 1).decide()

    def test_floats_are_refused(self):
        with pytest.raises(TypeError, match="got a float"):
            Identity("i", 0.5 * x, x / 2).decide()

    def test_what_is_no_expression_is_refused(self):
        with pytest.raises(TypeError, match="expected an expression or a number, got Boolean"):
            Identity("i", sp.true, 1).decide()

    def test_an_expression_must_be_defined_on_the_whole_domain(self):
        with pytest.raises(ValueError, match="no finite value at a = 1"):
            Identity("i", sp.log(1 - a) + a, sp.log((1 - a) * sp.exp(a))).decide()


class TestSign:
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
        ],
    )
    def test_true_ones(self, expr, relation):
        assert decided(Sign("s", expr, relation)) == "proved"

    @pytest.mark.parametrize(
        ("expr", "relation"),
        [(x, ">"), (a - 1, ">"), (sp.exp(x) - 2, "<"), (x**2, ">"), (-a, ">=")],
    )
    def test_false_ones_have_a_witness(self, expr, relation):
        outcome = Sign("s", expr, relation).decide()
        assert outcome.verdict == "refuted"
        assert outcome.witness

    def test_zero_is_not_positive(self):
        zero = (1 + a) ** 2 - 1 - 2 * a - a**2
        assert sign(zero) == "=="
        assert decided(Sign("s", zero, ">")) == "refuted"
        assert decided(Sign("s", zero, ">=")) == "proved"

    def test_what_it_does_not_see_is_undecided(self):
        assert decided(Sign("s", a - sp.log(1 + a), ">")) == "undecided"


def test_minimum_is_three_claims():
    claims = minimum("m", x**2 + 2 * x, x, sp.Integer(-1), sp.Integer(-1))
    assert [decided(c) for c in claims] == ["proved"] * 3
    assert "refuted" in [
        decided(c) for c in minimum("m", x**2 + 2 * x, x, sp.Integer(-1), sp.Integer(-2))
    ]
    assert "refuted" in [decided(c) for c in minimum("m", -(x**2), x, sp.Integer(0), sp.Integer(0))]


class TestTested:
    def test_a_true_property_survives_and_says_how_many_examples(self):
        assert (
            tested.Tested("t", {"k": st.integers(0, 10**6)}, lambda k: k >= 0, examples=30)
            .decide()
            .detail
            == "30 examples"
        )

    def test_a_false_one_is_refuted_with_a_small_witness(self):
        outcome = tested.Tested("t", {"k": st.integers(0, 1000)}, lambda k: k < 100).decide()
        assert (outcome.verdict, outcome.witness) == ("refuted", "k = 100")

    def test_the_same_search_twice(self):
        drawn = [[], []]
        for log in drawn:
            tested.Tested(
                "t",
                {"k": st.integers(0, 10**6)},
                lambda k, log=log: log.append(k) is None,
                examples=10,
            ).decide()
        assert drawn[0] == drawn[1]

    def test_an_error_in_the_property_is_no_refutation(self):
        with pytest.raises(ZeroDivisionError):
            tested.Tested("t", {"k": st.integers(0, 9)}, lambda k: 1 / 0).decide()


GIVEN = {"k": st.integers(0, 9)}


class TestShipped:
    def test_agreement(self):
        assert (
            decided(Shipped("s", GIVEN, lambda k: [k, 2 * k], lambda k: [k + 1e-12, 2 * k]))
            == "survived"
        )

    @pytest.mark.parametrize(
        "library",
        [lambda k: k + 1e-6, lambda k: [k], lambda k: float("nan"), lambda k: float("inf")],
    )
    def test_disagreement(self, library):
        assert decided(Shipped("s", GIVEN, library, lambda k: k)) == "refuted"

    def test_compiled_expressions_are_precise(self):
        assert compiled(sp.log(1 + sp.exp(x)) - x)(x=60.0) == pytest.approx(
            8.7565107626965e-27, rel=1e-10
        )

    def test_batches_come_with_their_probabilities(self):
        atoms, weights = batches((0.75, 0.25), 2)
        assert atoms.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
        assert weights.tolist() == [0.5625, 0.1875, 0.1875, 0.0625]
        assert batches((0.75, 0.25), 1)[0].tolist() == [[0], [1]]
