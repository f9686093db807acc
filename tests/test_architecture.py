"""Who may import whom, what importing the library may load, and what must not be written anywhere."""

import ast
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "mi_estimators": set(),
    "proofs": {"mi_estimators"},
    "toy": {"mi_estimators"},
    "llm_adapter": {"mi_estimators"},
}
LIBRARY_DEPENDENCIES = {"torch", "numpy", "jaxtyping"}
LAZY = {"scipy", "tqdm", "matplotlib"}  # inside functions only


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path) -> set[str]:
    """Return the top-level names of all absolute imports in a file, lazy ones included."""
    return {name.split(".")[0] for node in ast.walk(tree(path)) for name in names_of(node)}


def names_of(node: ast.AST) -> list[str]:
    """Return the modules that one node imports absolutely."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]

    return (
        [node.module]
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module
        else []
    )


@pytest.mark.parametrize("room", ROOMS)
def test_imports_of_rooms(room):
    """Rooms import only what they may."""
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        others = imported(path) & (set(ROOMS) | {"tests", "benchmarks", "notebooks"}) - {room}
        assert others <= ROOMS[room], f"{path.relative_to(ROOT)} imports {sorted(others)}"


def test_imports_of_the_library():
    """The library imports torch, numpy, jaxtyping and the standard library."""
    for path in (ROOT / "mi_estimators").rglob("*.py"):
        own = sys.stdlib_module_names | LIBRARY_DEPENDENCIES | {"mi_estimators"}
        foreign = imported(path) - own - LAZY

        assert not foreign, f"{path.name} imports {sorted(foreign)}"

        at_the_top = [
            node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        eager = {name.split(".")[0] for node in at_the_top for name in names_of(node)}

        assert not eager & LAZY, f"{path.name} imports {sorted(eager & LAZY)} when it is imported"


def test_light_import():
    """Importing the library, and its theory on a number, load nothing heavy."""
    heavy = {"transformers", "matplotlib", "scipy", "sympy", "flint"}
    code = f"""
import sys, mi_estimators
mi_estimators.theory.escape_time_dpo(0.1, 0.5)
print(*({heavy} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    assert result.stdout.split() == []


LIBRARY = (
    "_validate",
    "extras",
    "theory",
    "display",
    "bounds",
    "laws",
    "preference",
    "diagnostics",
    "estimation",
    "checks",
)


@pytest.mark.parametrize("room", LIBRARY[2:])
def test_order_of_rooms(room):
    """The rooms of the library import only those before them."""
    for path in (ROOT / "mi_estimators" / room).glob("*.py"):
        above = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)]
        above = [node for node in above if node.level == 2]
        others = {node.module.split(".")[0] for node in above if node.module}
        others |= {alias.name for node in above if not node.module for alias in node.names}

        assert others <= set(LIBRARY[: LIBRARY.index(room)]), path.name


LAYOUT = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENCODING", "ENDMARKER"}


@pytest.mark.parametrize("room", ROOMS)
def test_short_modules(room):
    for path in (ROOT / room).rglob("*.py"):
        with path.open("rb") as file:
            kinds = [tokenize.tok_name[token.type] for token in tokenize.tokenize(file.readline)]
        assert sum(kind not in LAYOUT for kind in kinds) <= 2600, path.relative_to(ROOT)


def test_one_version():
    import tomllib

    import mi_estimators

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == mi_estimators.__version__
    assert f"version: {mi_estimators.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {mi_estimators.__version__}" in (ROOT / "CHANGELOG.md").read_text()


ADAPTER = {  # folder of the adapter → what it may import of the others, and when it is imported, of packages
    "arguments": set(),
    "models": {"arguments"},
    "data": {"arguments", "models"},
    "loss": {"arguments", "models", "data"},
    "training": {"arguments", "models", "data", "loss"},
    "evaluation": {"arguments", "models", "data", "loss", "training"},
}
HEAVY = {"torch", "transformers", "accelerate", "mi_estimators"}


def folder(path: Path) -> str:
    """Return the room's folder, or a module at its top, that a file is in."""
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


def neighbours(path: Path) -> set[str]:
    """Return the folders and top modules of its own room that a file imports, lazy imports included."""
    package = path.relative_to(ROOT).parent.parts
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = (*above, *(node.module or "").split("."))
            names |= {".".join((*module, alias.name)) for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}

    parts = [name.replace("..", ".").split(".") for name in names]
    return {part[1] for part in parts if part[0] == package[0]} - {folder(path)}


def test_order_of_the_adapter():
    """The folders of the adapter are in order."""
    seen = set()
    for path in (ROOT / "llm_adapter").rglob("*.py"):
        name = folder(path)
        seen.add(name)
        if name in ADAPTER:  # the commands may import them all
            above = neighbours(path) - ADAPTER[name]
            assert not above, f"{path.relative_to(ROOT)} imports {sorted(above)}"

    assert ADAPTER.keys() <= seen


def test_light_arguments():
    """The adapter's arguments import nothing heavy at the top."""
    for path in (ROOT / "llm_adapter" / "arguments").glob("*.py"):
        eager = {name.split(".")[0] for node in tree(path).body for name in names_of(node)}
        assert not eager & HEAVY, f"{path.name} imports {sorted(eager & HEAVY)}"


PHENOMENA = {path.parent.name for path in (ROOT / "toy").glob("*/experiment.py")}
BELOW = {"models", "rows", "experiment"}  # what a phenomenon may import of the lab


def test_experiments_apart():
    """A phenomenon of the lab imports no other."""
    for path in (ROOT / "toy").rglob("*.py"):
        name, others = folder(path), neighbours(path)
        if name in PHENOMENA:
            wrong = others - BELOW
        elif name == "models":
            wrong = others
        else:
            wrong = others & PHENOMENA  # they are found, not named
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"

    assert {"escape", "_template"} <= PHENOMENA
