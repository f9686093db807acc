"""The wheel: exactly four packages, and `pip install` of it alone gives a working library."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]


def run(*command, cwd):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd)
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build from what git tracks, so that a file nobody committed cannot make the wheel work."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    archive = source.with_suffix(".tar")
    run("git", "ls-files", "-z", cwd=ROOT)
    names = run("git", "ls-files", cwd=ROOT).splitlines()
    run("tar", "-cf", archive, *(name for name in names if (ROOT / name).is_file()), cwd=ROOT)
    run("tar", "-xf", archive, cwd=source)
    run(sys.executable, *PIP, "wheel", "--no-deps", "--wheel-dir", out, source, cwd=source)
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_holds_the_four_packages_and_their_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {
        "mi_estimators",
        "proofs",
        "toy",
        "llm_adapter",
    }
    assert {"mi_estimators/py.typed", "llm_adapter/pairs.jsonl"} <= set(names)
    modules = {
        str(p.relative_to(ROOT))
        for room in ("mi_estimators", "proofs", "toy", "llm_adapter")
        for p in (ROOT / room).rglob("*.py")
    }
    assert modules <= set(names)
    assert any(n.endswith("licenses/LICENSE") for n in names)


def test_the_wheel_alone_gives_a_working_library(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, *PIP, "install", "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    code = """
import sys, torch, mi_estimators as mi
assert "site-packages" in mi.__file__
assert not {"transformers", "matplotlib", "scipy"} & set(sys.modules)
x, y = mi.laws.Gaussian(0.8).sample(200, torch.Generator().manual_seed(0))
print(mi.estimate_mi(x, y, steps=50))
"""
    assert "nats" in run(python, "-W", "error", "-c", code, cwd=tmp_path)
    installed = {line.split("==")[0].lower() for line in run(python, *PIP, "freeze", cwd=tmp_path).splitlines()}
    assert not {"transformers", "matplotlib", "scipy", "python-flint", "beartype", "tqdm"} & installed
    assert {"torch", "numpy", "jaxtyping"} <= installed
