"""The packages that are compared, their virtual environments, and the processes that fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import environment
from . import tasks
from .suites import Task

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
        script: the file beside this one that fits.
        estimators: its estimators.
        requirements: pins of its own environment, or None for this one.
        held_out: whether what it reports was read on rows kept apart, so that it needs no reading of fresh ones.
        narrow: estimators of one column a side, both of numbers.
        labels: estimators of a y that is one label.
    """

    name: str
    script: str
    estimators: tuple[str, ...]
    requirements: str | None = None
    held_out: bool = False
    narrow: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

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

    def takes(self, estimator: str, task: Task) -> bool:
        """Return whether an estimator of the package takes such rows."""
        if estimator in self.narrow:
            return task.columns == (1, 1) and task.discrete is None
        if estimator in self.labels:
            return task.discrete == "y" and task.columns[1] == 1
        return True


OURS = Package(
    "mi-estimators",
    "ours.py",
    ("default", "fast", "thorough", "dv", "nwj", "js", "infonce", "smile"),
    held_out=True,
)
PLAIN = Package("plain", "plain.py", ("infonce", "smile", "ksg"))
PEER_OF_DIGITS = Package(
    "scikit-learn",
    "peer_sklearn.py",
    ("ksg", "logistic", "lda", "svm"),
    requirements="requirements-sklearn.txt",
    narrow=("ksg",),
    labels=("logistic", "lda", "svm"),
)
"""Its data sets have the pictures of digits, too."""

PACKAGES = (
    OURS,
    Package(
        "torch-mist",
        "peer_torch_mist.py",
        ("mine", "smile", "smile-all-steps", "js", "nwj", "infonce", "infonce-all-steps"),
        requirements="requirements-torch-mist.txt",
    ),
    Package(
        "benchmark-mi",
        "peer_benchmark_mi.py",
        ("infonce", "dv", "nwj", "mine", "ksg", "cca"),
        requirements="requirements-benchmark-mi.txt",
    ),
    PEER_OF_DIGITS,
    PLAIN,
)


def prepare(package: Package, python: str) -> str | None:
    """Make the package's environment if it is missing or its pins changed; return what went wrong, in one line."""
    if package.requirements is None:
        return None
    return environment.prepare(package.folder, HERE / package.requirements, python)


class Worker:
    """A process of a package that fits one request after the other.

    It has a temporary folder of its own: torch-mist keeps its best weights there under a fixed name, which two fits at
    a time would overwrite.
    """

    def __init__(self, package: Package) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.errors = Path(self.folder.name) / "errors.txt"
        variables = {key: value for key, value in os.environ.items() if key not in _UNSET}

        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [package.python, str(HERE / package.script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=variables | _SINGLE | {"TMPDIR": self.folder.name},
                cwd=self.folder.name,
            )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request, or {"error": …}."""
        late = threading.Timer(TIMEOUT, self.process.kill)
        late.start()
        try:
            answer = self._exchange(json.dumps(request))
            on_time = late.is_alive()
        finally:
            late.cancel()

        if answer is not None:
            return answer

        code = self.process.wait()
        lines = self.errors.read_text(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
        return {"error": last.strip()[:200] if on_time else f"no result within {TIMEOUT} s"}

    def _exchange(self, line: str) -> dict[str, Any] | None:
        """Send a line and return the object that comes back, or None where the process ends."""
        source, target = self.process.stdout, self.process.stdin
        assert source is not None
        assert target is not None

        try:
            print(line, file=target, flush=True)
        except OSError:
            return None

        answers = (text for text in source if text.startswith("{"))  # packages print, too
        text = next(answers, None)
        return None if text is None else json.loads(text)

    @property
    def alive(self) -> bool:
        """Whether the process takes another request."""
        return self.process.poll() is None

    def close(self) -> None:
        """End the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

        self.folder.cleanup()


_idle: dict[Package, list[Worker]] = defaultdict(list)
"""Processes that wait for the next fit of their package."""


def close() -> None:
    """End all processes that wait."""
    while _idle:
        for worker in _idle.popitem()[1]:
            worker.close()


def fit(
    package: Package,
    estimator: str,
    task: Task,
    seed: int,
    rows: int,
    steps: int | None,
) -> dict[str, Any]:
    """Run one fit in a process of the package; return the fields of its row, "error" among them if it failed."""
    try:
        worker = _idle[package].pop()
    except IndexError:
        try:
            worker = Worker(package)
        except OSError as error:
            return {"error": f"could not run {package.python}: {error.strerror}"}

    data = Path(worker.folder.name) / "data.npz"
    arrays: dict[str, Any] = tasks.draw(task, seed, rows)  # Any: savez has options, too
    np.savez(data, **arrays)
    answer = worker.ask(
        {
            "estimator": estimator,
            "data": str(data),
            "seed": seed,
            "steps": steps,
            "options": task.options,
        }
    )

    if worker.alive:
        _idle[package].append(worker)
    else:
        worker.close()

    if "error" in answer:
        return answer

    fresh = not package.held_out and answer["held_out"] is not None
    return {"estimate": answer["held_out" if fresh else "reported"], "fresh": fresh, **answer}
