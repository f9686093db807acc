"""The distributions: a wheel of two packages, made from the sdist, that alone gives a working estimator."""

import re
import runpy
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


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


def test_sdist(built, wheel):
    """The sdist holds what the wheel is made of."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert in_wheel | {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= names

    tracked = set(run("git", "ls-files", cwd=ROOT).splitlines())
    assert tracked <= names, "the sdist is a source that can be tested"


def test_metadata(wheel):
    """The metadata are valid and say what pyproject says."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        # Raises what an index would refuse
        metadata = Metadata.from_email(archive.read(name), validate=True)

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (metadata.name, str(metadata.version)) == (project["name"], project["version"])
    assert metadata.license_expression == project["license"]
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description == (ROOT / "README.md").read_text()
    assert set(metadata.provides_extra) == set(project["optional-dependencies"])

    needed = {str(entry) for entry in metadata.requires_dist if "extra" not in str(entry.marker)}
    assert needed == {str(Requirement(entry)) for entry in project["dependencies"]}


def test_wheel(wheel):
    """The wheel holds two packages and their data."""
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = {"mi_estimators", "llm_adapter"}

    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == packages

    tracked = run("git", "ls-files", *packages, cwd=ROOT).splitlines()
    assert {name for name in tracked if not name.endswith(".md")} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def closure(requirements: list[str]) -> set[str]:
    """Return the distributions that requirements need here, and all that those need."""
    names, todo = set(), [Requirement(entry) for entry in requirements]
    while todo:
        entry = todo.pop()
        if entry.name in names or (entry.marker and not entry.marker.evaluate({"extra": ""})):
            continue
        names.add(entry.name)
        todo += map(Requirement, distribution(entry.name).requires or [])

    return names


def link(packages: set[str], folder: Path) -> None:
    """Link installed distributions into a folder: no copy of them could be faster."""
    for package in packages:
        files = distribution(package).files
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            target = folder / top
            if not target.exists():
                target.symlink_to(distribution(package).locate_file(top))


@pytest.mark.parametrize(
    "dependencies", ["linked", pytest.param("installed", marks=pytest.mark.broad)]
)
def test_wheel_alone(wheel, tmp_path, dependencies):
    """The wheel alone estimates, in an environment where nothing else is: no extra, no group of a clone, no clone.

    In an environment of its own, where nothing else is: no extra, no group of a clone, no clone.
    """
    environment = tmp_path / "env"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", python]
    constraints = ["--no-compile", "--constraint", ROOT / "constraints.txt"]

    if dependencies == "linked":
        (site,) = environment.glob("lib/*/site-packages")
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        link(closure(project["dependencies"]), site)
        constraints.append("--no-deps")

    run(*pip, "install", *constraints, wheel, cwd=tmp_path)
    run(*pip, "check", cwd=tmp_path)

    code = """
import sys, torch, mi_estimators as mi
from importlib.util import find_spec
assert "site-packages" in mi.__file__
assert not {"transformers", "matplotlib", "scipy"} & set(sys.modules)
assert not [name for name in ("transformers", "matplotlib", "flint", "beartype", "proofs", "toy") if find_spec(name)]
x, y = mi.laws.Gaussian(0.8).sample(200, torch.Generator().manual_seed(0))
print(mi.estimate_mi(x, y, steps=50, progress=True))
"""
    report = run(python, "-I", "-W", "error", "-c", code, cwd=tmp_path)

    assert " nats" in report
    assert "\nKSG" in report


def test_public_address():
    """With a public address the package has URLs and absolute links."""
    settings = runpy.run_path(str(ROOT / "setup.py"))
    address = "https://host/owner/name"

    assert settings["urls"]("") == {}
    assert settings["urls"](address)["Issues"] == f"{address}/issues"

    text = settings["absolute"]((ROOT / "README.md").read_text(), address, "1.2")
    targets = re.findall(r"""(?:\]\(|src=["']|srcset=["'])([^)"'\s]+)""", text)

    assert len(targets) > 10

    for target in targets:
        file = re.sub(rf"^{address}/(?:blob|raw)/v1\.2/", "", target).partition("#")[0]
        assert file == "" or file.startswith("https:") or (ROOT / file).exists(), target
