"""What stands in docstrings: all of it for the library's public names, a first line for the other rooms' functions.

Of these, one that cites a theorem shows it by a number.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import mi_estimators as mi
from proofs.ledger import modules

ROOT = Path(__file__).parents[1]
ROOMS = ("mi_estimators", "proofs", "toy", "llm_adapter", "benchmarks")

NO_EXAMPLE = {
    "self_consistency": "five fits; its three checks are tested on laws",
}
"""Functions without a doctest, and why."""

NO_SOURCE = {
    "preference.sft", "bounds.gather", "diagnostics.gradient_table", "joint_and_product",
    "diagnostics.jackknife_statistics",
    "laws.embedding", "laws.mixture_quantile", "laws.spiral", "laws.wiggly",
}  # fmt: skip
"""Functions that need no source: bookkeeping of scores, rows and maps, and tables of what is explained elsewhere."""

NO_UNIT = {
    "bounds.gather", "preference.cal_dpo", "preference.kto", "gradient_statistics",
    "diagnostics.gradient_table", "diagnostics.jackknife_statistics", "diagnostics.minibatch_bias",
    "diagnostics.sample_gradients", "log_mean_exp", "mean", "permutation_test", "self_consistency",
    "laws.embedding", "laws.mixture_quantile", "laws.spiral", "laws.wiggly",
    "theory.drawn_js_weight", "theory.dv_bias_factor", "theory.mio_escapes", "theory.steps_to_first_signal",
    *("theory.coverage_cap", "theory.disentanglement_band", "theory.escape_constant", "theory.grpo_factor"),
    *("theory.pass_at_k_slope", "theory.rounds_to_half"),
}  # fmt: skip
"""Functions whose numbers are counts, shares, ratios or rows, or in the unit of what they are given."""


def public() -> dict[str, object]:
    """Return every public name of the library: the flat ones, then those of each namespace.

    `display` draws, and has no equations, units or shapes: one line is enough there.
    """
    rooms = [name for name in mi.__all__ if inspect.ismodule(getattr(mi, name))]
    rooms.remove("display")
    flat = {name: item for name in mi.__all__ if not inspect.ismodule(item := getattr(mi, name))}

    return flat | {
        f"{room}.{name}": getattr(getattr(mi, room), name)
        for room in rooms
        for name in getattr(mi, room).__all__
        if name not in flat
    }


UNITS = r"nats|a probability|learning rate × step"
NAMES = public()
FUNCTIONS = sorted(name for name, item in NAMES.items() if inspect.isfunction(item))
CLASSES = sorted(name for name, item in NAMES.items() if inspect.isclass(item))
CONSTANTS = sorted(set(NAMES) - set(FUNCTIONS) - set(CLASSES))


def section(docstring: str, name: str) -> bool:
    """Whether a docstring has a section, or says whose it shares: "Args, Returns, Raises: as for `dv`."."""
    return bool(re.search(rf"^\s*(?:\w+, )*{name}(?:, \w+)*:", docstring, re.M))


def missing_of_function(name: str, function: object) -> list[str]:
    """Return the parts that a public function's docstring lacks."""
    text = function.__doc__ or ""
    parameters = inspect.signature(function).parameters
    parts = {
        "a first line that is a sentence": re.match(r"[A-Z].*", text.split("\n\n")[0])
        and ". " not in text[:3],
        "Args": section(text, "Args"),
        "Returns": section(text, "Returns"),
        "Raises": section(text, "Raises"),
        "an example": ">>>" in text or name in NO_EXAMPLE,
        "a source or a theorem": section(text, "Reference")
        or section(text, "Theorem")
        or name in NO_SOURCE,
        "shapes": "Tensor" not in str(inspect.signature(function))
        or "hape" in text
        or "as for" in text.lower(),
        "a unit": re.search(UNITS, text.lower()) or name in NO_UNIT,
    } | {
        f"the argument {argument}": re.search(rf"\b{argument}\b", text)
        or "Args, " in text
        or "as for" in text
        for argument in parameters
    }

    return [part for part, there in parts.items() if not there]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    assert missing_of_function(name, NAMES[name]) == []


def methods(kind: type) -> Iterator[tuple[str, object]]:
    """Yield what a class itself defines for others: methods, properties, and a call."""
    for name, member in vars(kind).items():
        if name != "__call__" and name.startswith("_"):
            continue
        function = getattr(member, "fget", getattr(member, "__func__", member))
        if inspect.isfunction(function):
            yield name, function


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name):
    """Classes and their methods say what they are."""
    kind = NAMES[name]
    text = kind.__doc__ or ""

    assert re.match(r"[A-Z`]", text), "expected a docstring"
    assert not text.startswith(f"{kind.__name__}("), "expected more than the dataclass's signature"

    fields = [
        field for field in getattr(kind, "__dataclass_fields__", {}) if not field.startswith("_")
    ]

    assert [field for field in fields if not re.search(rf"\b{field}\b", text)] == []

    for method, function in methods(kind):
        docstring = function.__doc__ or ""
        assert re.match(r"[A-Zχ]", docstring), f"{method}: expected a docstring"

        parameters = list(inspect.signature(function).parameters.values())[1:]
        if any("Tensor" in str(parameter.annotation) for parameter in parameters):
            assert "hape" in docstring or "as for" in docstring or "columns" in docstring, (
                f"{method}: expected shapes"
            )

        returned = str(inspect.signature(function).return_annotation)
        if "Tensor" in returned:
            assert "hape" in docstring, f"{method}: expected the shape that is returned"


def documented_constants() -> set[str]:
    """Return the names that are assigned in the library with a docstring below."""
    names = set()
    for path in (ROOT / "mi_estimators").rglob("*.py"):
        body = ast.parse(path.read_text()).body
        for line, below in pairwise(body):
            is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            targets = (
                line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
            )
            names |= {target.id for target in targets if is_text and isinstance(target, ast.Name)}

    return names


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name):
    """Constants have a docstring below."""
    assert name.split(".")[-1] in documented_constants()


def test_needed_exceptions():
    for names in (NO_EXAMPLE, NO_SOURCE, NO_UNIT):
        assert set(names) <= set(FUNCTIONS)

    assert not [name for name in NO_EXAMPLE if ">>>" in NAMES[name].__doc__]
    assert not [
        n
        for n in NO_SOURCE
        if section(NAMES[n].__doc__, "Reference") or section(NAMES[n].__doc__, "Theorem")
    ]
    assert not [name for name in NO_UNIT if re.search(UNITS, NAMES[name].__doc__.lower())]


@pytest.mark.parametrize(
    ("docstring", "lacks"),
    [
        (None, "a first line that is a sentence"),
        (
            "Return x, in nats.\n\n    Returns:\n        x.\n\n    Raises:\n        ValueError: y.",
            "Args",
        ),
        ("Return x.\n\n    Args:\n        x: x.\n", "a unit"),
        ("Return y, in nats, shape (...).", "the argument x"),
    ],
)
def test_missing_parts(docstring, lacks):
    def function(x):
        return x

    function.__doc__ = docstring
    assert lacks in missing_of_function("function", function)


def defined(
    body: list[ast.stmt],
    prefix: str = "",
) -> Iterator[tuple[str, ast.AST]]:
    """Yield the public functions and classes of a module, and the public methods of its public classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from defined(node.body, f"{node.name}.")


@pytest.mark.parametrize("room", ROOMS)
def test_rooms(room):
    """Every module and public function of the rooms has a docstring."""
    files = [
        path for path in (ROOT / room).rglob("*.py") if "build" not in path.relative_to(ROOT).parts
    ]

    assert files

    without = []
    for path in files:
        tree = ast.parse(path.read_text())
        named = [("the module", tree), *defined(tree.body)]
        without += [
            f"{path.relative_to(ROOT)}: {name}"
            for name, node in named
            if len((ast.get_docstring(node) or "").split()) < 2
        ]

    assert without == []


NO_NUMBER = {
    "toy/escape/who_samples.py: who_samples": "an experiment; what it measures is tested beside the theorem"
}
"""Functions that cite a theorem without a doctest, and why."""

SLUGS = set(modules())


def cited(docstring: str | None) -> list[str]:
    """Return the slugs that a docstring cites: "Theorem: a_b, c_d", "(theorem a_b)"."""
    lists = re.findall(
        r"\b[Tt]heorems?:? (\w+_\w+(?:, \w+_\w+)*)", " ".join((docstring or "").split())
    )
    return [slug for slugs in lists for slug in slugs.split(", ")]


def unshown(docstring: str | None) -> list[str]:
    """Return what is wrong with the theorems that a docstring cites."""
    slugs = cited(docstring)
    unknown = [f"{slug} does not exist" for slug in slugs if slug not in SLUGS]
    return unknown + ["no doctest"] * bool(slugs and ">>>" not in (docstring or ""))


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES])
def test_cited_theorems(name):
    """A public name cites two theorems at most, and they exist."""
    slugs = cited(NAMES[name].__doc__)
    assert len(slugs) <= 2
    assert set(slugs) <= SLUGS


@pytest.mark.parametrize("room", ["toy", "llm_adapter"])
def test_shown_theorems(room):
    """A function that cites a theorem shows it by a number."""
    texts = {
        f"{path.relative_to(ROOT)}: {name}": ast.get_docstring(node)
        for path in (ROOT / room).rglob("*.py")
        for name, node in defined(ast.parse(path.read_text()).body)
    }

    assert any(map(cited, texts.values()))
    assert {
        name: wrong
        for name, text in texts.items()
        if (wrong := unshown(text)) and name not in NO_NUMBER
    } == {}
    assert all(unshown(texts[name]) for name in NO_NUMBER if name.startswith(room))


@pytest.mark.parametrize(
    ("docstring", "wrong"),
    [
        (None, []),
        ("Return ln 2.", []),
        ("Return ln 2.\n\n    Theorem: mio_anchor\n\n    >>> 1\n    1", []),
        ("Return ln 2 (theorem\n    mio_anchor).", ["no doctest"]),
        ("Theorems: mio_anchor, mio_ancor\n\n    >>> 1\n    1", ["mio_ancor does not exist"]),
    ],
)
def test_unshown_theorems(docstring, wrong):
    """A theorem that is not shown or does not exist is found."""
    assert unshown(docstring) == wrong
