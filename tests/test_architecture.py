"""Who may import whom, what importing the library may load, and what must not be written anywhere."""

import ast
import subprocess
import sys
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


def imported(path: Path) -> set[str]:
    """Return the top-level names of all absolute imports in a file, lazy ones included."""
    tree = ast.parse(path.read_text())
    modules = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    modules += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0]
    return {name.split(".")[0] for name in modules}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_they_may(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        others = imported(path) & (set(ROOMS) | {"tests", "benchmarks", "notebooks"}) - {room}
        assert others <= ROOMS[room], f"{path.relative_to(ROOT)} imports {sorted(others)}"


def test_the_library_imports_torch_numpy_jaxtyping_and_the_standard_library():
    for path in (ROOT / "mi_estimators").rglob("*.py"):
        foreign = imported(path) - sys.stdlib_module_names - LIBRARY_DEPENDENCIES - {"mi_estimators"}
        assert not foreign, f"{path.name} imports {sorted(foreign)}"


def test_importing_the_library_loads_nothing_heavy():
    code = "import sys, mi_estimators; print(*({'transformers', 'matplotlib', 'scipy', 'flint'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.split() == []


@pytest.mark.parametrize("room", ROOMS)
def test_modules_are_short(room):
    for path in (ROOT / room).rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path.relative_to(ROOT)


def test_the_oracles_share_no_code_with_the_bounds():
    assert "mi_estimators" not in imported(ROOT / "proofs" / "oracles.py")


def test_one_version():
    import tomllib

    import mi_estimators

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == mi_estimators.__version__
    assert f"version: {mi_estimators.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {mi_estimators.__version__}" in (ROOT / "CHANGELOG.md").read_text()
