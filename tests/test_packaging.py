"""The distributions: a wheel of exactly four packages, made from the sdist, that alone gives a working library."""

import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def run(*command, cwd):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=cwd
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build from what git tracks, so that a file nobody committed cannot help: the sdist, and the wheel out of it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    archive = source.with_suffix(".tar")
    run("git", "ls-files", "-z", cwd=ROOT)
    names = run("git", "ls-files", cwd=ROOT).splitlines()
    run("tar", "-cf", archive, *(name for name in names if (ROOT / name).is_file()), cwd=ROOT)
    run("tar", "-xf", archive, cwd=source)
    run(sys.executable, "-m", "build", "--outdir", out, source, cwd=source)
    return out


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


def test_the_sdist_holds_what_the_wheel_is_made_of(built, wheel):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert in_wheel | {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= names


def test_the_metadata_are_valid_and_say_what_pyproject_says(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(
            archive.read(name), validate=True
        )  # raises what an index would refuse
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (metadata.name, str(metadata.version)) == (project["name"], project["version"])
    assert metadata.license_expression == project["license"]
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description == (ROOT / "README.md").read_text()
    assert set(metadata.provides_extra) == set(project["optional-dependencies"])
    needed = {str(entry) for entry in metadata.requires_dist if "extra" not in str(entry.marker)}
    assert needed == {str(Requirement(entry)) for entry in project["dependencies"]}


def test_the_wheel_holds_the_four_packages_and_their_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {
        "mi_estimators",
        "proofs",
        "toy",
        "llm_adapter",
    }
    assert {"mi_estimators/py.typed", "llm_adapter/data/pairs.jsonl"} <= set(names)
    modules = {
        str(p.relative_to(ROOT))
        for room in ("mi_estimators", "proofs", "toy", "llm_adapter")
        for p in (ROOT / room).rglob("*.py")
    }
    assert modules <= set(names)
    tracked = run(
        "git", "ls-files", "mi_estimators", "proofs", "toy", "llm_adapter", cwd=ROOT
    ).split()
    assert {name for name in tracked if not name.endswith((".py", ".md"))} <= set(names)
    assert any(n.endswith("licenses/LICENSE") for n in names)


def test_the_wheel_alone_gives_a_working_library(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    into = [*PIP, "--python", python]
    # all of torch's bytecode would take longer than the rest
    run(
        *into,
        "install",
        "--no-compile",
        "--constraint",
        ROOT / "constraints.txt",
        wheel,
        cwd=tmp_path,
    )
    code = """
import sys, torch, mi_estimators as mi
assert "site-packages" in mi.__file__
assert not {"transformers", "matplotlib", "scipy"} & set(sys.modules)
x, y = mi.laws.Gaussian(0.8).sample(200, torch.Generator().manual_seed(0))
print(mi.estimate_mi(x, y, steps=50))
"""
    assert "nats" in run(python, "-W", "error", "-c", code, cwd=tmp_path)
    installed = {
        line.split("==")[0].lower() for line in run(*into, "freeze", cwd=tmp_path).splitlines()
    }
    assert (
        not {"transformers", "matplotlib", "scipy", "python-flint", "beartype", "tqdm"} & installed
    )
    assert {"torch", "numpy", "jaxtyping"} <= installed
