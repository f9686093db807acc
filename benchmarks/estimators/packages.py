"""The packages that are compared, their virtual environments, and one fit in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import environment
from . import tasks

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / "build"  # ignored by git
TIMEOUT = 1800  # seconds of one fit

# One thread for everybody, no accelerator, nothing taken from the caller's own set-up.
_SINGLE = dict.fromkeys(
    ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"], "1"
)
_SINGLE |= {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
_SINGLE |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
_UNSET = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Package:
    """A package that is compared.

    Attributes:
        name: as tables print it.
        script: the file beside this one that runs one fit.
        estimators: its estimators that are run unless others are asked for.
        more: estimators that are run only if asked for.
        requirements: pins of its own environment, or None for this one.
        held_out: whether what it reports was read on rows kept apart, so that it needs no reading of fresh ones.
        flat: whether it takes one-dimensional x and y alone.
    """

    name: str
    script: str
    estimators: tuple[str, ...]
    more: tuple[str, ...] = ()
    requirements: str | None = None
    held_out: bool = False
    flat: bool = False

    @property
    def folder(self) -> Path:
        """Where its environment is made."""
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> str:
        """The interpreter that has it."""
        return sys.executable if self.requirements is None else environment.python_of(self.folder)

    def label(self, estimator: str) -> str:
        """Return "package/estimator", or the package alone for its default."""
        return self.name if estimator == "default" else f"{self.name}/{estimator}"


OURS = Package(
    "mi-estimators", "ours.py", ("default",), ("dv", "nwj", "js", "infonce", "smile"), held_out=True
)
PACKAGES = (
    OURS,
    Package(
        "torch-mist",
        "peer_torch_mist.py",
        ("mine", "smile", "js", "nwj", "infonce", "infonce-all-steps"),
        requirements="requirements-torch-mist.txt",
    ),
    Package(
        "benchmark-mi",
        "peer_benchmark_mi.py",
        ("infonce", "dv", "nwj", "mine", "ksg", "cca"),
        requirements="requirements-benchmark-mi.txt",
    ),
    Package(
        "scikit-learn",
        "peer_sklearn.py",
        ("ksg",),
        requirements="requirements-sklearn.txt",
        flat=True,
    ),
)


def prepare(package: Package, python: str) -> str | None:
    """Make the package's environment if it is missing or its pins changed; return what went wrong, in one line."""
    if package.requirements is None:
        return None
    return environment.prepare(package.folder, HERE / package.requirements, python)


def fit(
    package: Package,
    estimator: str,
    law: tasks.Law,
    task: str,
    seed: int,
    rows: int,
    steps: int | None,
) -> dict:
    """Run one fit in a process of its own and return the fields of its row; "error" is among them if it failed.

    The process has a temporary folder of its own: torch-mist keeps its best weights there under a fixed name, which two
    fits at a time would overwrite.
    """
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        arrays: dict[str, Any] = tasks.draw(law, task, seed, rows)  # Any: savez has options, too
        np.savez(data, **arrays)
        command = [
            package.python,
            str(HERE / package.script),
            estimator,
            str(data),
            "--seed",
            str(seed),
        ]
        if steps is not None:
            command += ["--steps", str(steps)]
        environment = {key: value for key, value in os.environ.items() if key not in _UNSET}
        environment |= _SINGLE | {"TMPDIR": folder}
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env=environment,
                timeout=TIMEOUT,
                cwd=folder,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"no result within {TIMEOUT} s"}
        except OSError as error:
            return {"error": f"could not run {package.python}: {error.strerror}"}
    answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not answers:
        return {
            "error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][
                :200
            ]
        }
    found = json.loads(answers[-1])
    fresh = not package.held_out and found["held_out"] is not None
    return {"estimate": found["held_out" if fresh else "reported"], "fresh": fresh, **found}
