"""What is printed for Coq means the same number."""

import math

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from proofs.engine import Identity
from proofs.kernel.goals import statement
from proofs.kernel.printer import Untranslated, coq

x, y = sp.symbols("x y", positive=True)
u = sp.Symbol("u", real=True)


class Function:
    """A function of Coq, applied as `f @ argument`."""

    def __init__(self, call):
        self.call = call

    def __matmul__(self, argument):
        return self.call(argument)


def value(text, **symbols):
    """Evaluate what was printed, by another reader."""
    text = text.replace("(/ ", "(1 / ")
    for name in ("exp", "ln", "Rabs"):
        text = text.replace(f"({name} ", f"({name} @ ")
    functions = {"exp": Function(math.exp), "ln": Function(math.log), "Rabs": Function(abs)}
    return eval(text.replace("^", "**"), {**functions, **symbols, "PI": math.pi})


LEAVES = st.sampled_from([x, y, u, sp.Integer(2), sp.Rational(-3, 7), sp.pi])


def grown(inner):
    return st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        inner.map(lambda e: 1 / (1 + e**2)),
        inner.map(lambda e: sp.exp(-(e**2) / 9)),
        inner.map(lambda e: sp.log(1 + e**2)),
        inner.map(lambda e: (1 + e**2) ** sp.Rational(2, 3)),
        inner.map(lambda e: sp.tanh(e / 5)),
        inner.map(sp.Abs),
    )


@given(st.recursive(LEAVES, grown, max_leaves=6))
def test_printed_value(expr):
    """A printed expression has the same value."""
    point = {x: sp.Rational(3, 4), y: sp.Rational(5, 3), u: sp.Rational(-1, 2)}
    ours = value(coq(expr), v_x=0.75, v_y=5 / 3, v_u=-0.5)
    assert ours == pytest.approx(float(expr.subs(point).evalf()), rel=1e-9, abs=1e-9)


def test_no_word():
    """What has no word is refused."""
    with pytest.raises(Untranslated, match="sin"):
        coq(sp.sin(x))
    with pytest.raises(Untranslated, match="may not be positive"):
        coq(u ** sp.Rational(1, 2))


def test_ranges():
    """A statement says where its symbols range."""
    n = sp.Symbol("n", positive=True, integer=True)
    assert statement(Identity("", x + u, u + n)) == (
        "forall v_n v_u v_x : R, 1 <= v_n -> 0 < v_x -> (v_u + v_x) = (v_n + v_u)"
    )
