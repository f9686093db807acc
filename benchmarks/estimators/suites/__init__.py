"""The suites: tables of laws with known information, a row each, on which estimators are measured.

    from benchmarks.estimators.suites import SUITES, TASKS
    task = TASKS["blobs-16x16"]
    x, y = task.sample(task.rows, torch.Generator().manual_seed(0))
    mi.estimate_mi(x, y, discrete=task.discrete)    # against task.truth

A family of laws has a module, which ends with its rows.
"""

from __future__ import annotations

from dataclasses import replace

from . import channels, cost, functions, grid, labels, library, order, pictures, shapes
from .library import BEYOND_NORMAL, TEN
from .suite import ALL, OURS, Suite
from .task import Task

TASKS: dict[str, Task] = {
    task.name: task
    for family in (library, grid, pictures, labels, channels, shapes, order, cost, functions)
    for task in family.TASKS
}
"""Name → row, of all laws."""

_SPIRALS = [name for name in BEYOND_NORMAL if name.startswith("spiral-")]
_FROM_LIBRARY = [
    *("1v1-normal-0.75", "1v1-additive-0.1", "1v1-additive-0.75", "1v1-additive-0.5-few-rows"),
    *("1v1-bimodal-0.75", "wiggly-normal-0.75", "swissroll-normal-0.75", "1v1-mixture-two"),
    *("1v1-mixture-cross", "mixed-uniform-5", "mixed-four-0.3", "finite-xor-0.9"),
    *("multinormal-dense-50-50-0.5", "multinormal-sparse-25-25-2-2.0", "multinormal-50-0nats"),
    *("multinormal-20-5nats", "cubic-multinormal-20-5nats", "student-identity-3-3-2"),
    *("asinh-student-identity-2-2-1", "student-dense-5-5-3-0.5", "product-unlike-3-3"),
    *("spiral-normal-2-2-0.75", "uneven-turned-8-nats", "near-copy-5-5", "additive-beside-student"),
]
_FRONTIER = [
    *("blobs-16x16", "rectangles-16x16", "digits-channel", "digits-label", "digits-noisy-label"),
    *("embeddings-768", "60-classes-in-the-plane", "60-classes-in-the-plane-one-hot"),
    *("regimes-5-5", "product-0.3-idle-8", "abs-2-of-10", "spike-counts-10"),
    *("networks-5-5", "networks-20-20", "spiral-multinormal-sparse-3-3-2-2.0"),
    *("uneven-turned-8-nats", "smoothed-5-nats", "log-gamma-5-nats", "checkerboard-8"),
    *("stable-1.2", "sign-of-three", "1v1-additive-0.1"),
]
_NARROW = [
    *("1v1-normal-0.75", "1v1-additive-0.1", "1v1-additive-0.75", "1v1-bimodal-0.75"),
    *("wiggly-normal-0.75", "1v1-mixture-two", "1v1-mixture-cross", "square-0.3", "abs-0.2"),
    *("sine-4", "cubic-turn-0.3", "saw-4", "volatility-1", "ring-0.1", "checkerboard-4"),
    *("stable-1.2", "count"),
]


_LARGE = ["networks-20-20-many-rows", "multinormal-160-80nats", "near-copy-5-5"]


def _rows(names: list[str]) -> tuple[Task, ...]:
    return tuple(TASKS[name] for name in names)


# Left out of the published suite: each is like another law of it, by an increasing map or in another size.
_TWINS = {
    *("1v1-bimodal-0.75", "wiggly-normal-0.75", "mixed-four-0.3", "cubic-multinormal-20-5nats"),
    *("multinormal-dense-50-50-0.5", "student-dense-5-5-3-0.5", "student-5-nats"),
    *("blobs-16x16-narrow", "digits-binary", "digits-to-code", "10-classes-codes"),
    *("20-classes-one-hot", "60-classes-codes", "60-classes-in-the-plane-one-hot"),
    *("300-identities-20001", "spike-counts-3", "rare-count", "abs-0.2", "sine-10", "saw-4"),
    *("product-0.3", "checkerboard-4", "checkerboard-4-flip-0.1", "parity-3", "ring-0.15"),
    *("regimes-2-2", "stable-1.7", "networks-5-5-few-rows", "networks-50-50", "walks"),
    *("networks-5-5-gentle", "networks-20-20-gentle"),
    *("autoregressive-0.2-pair", "copies-1-1", "sorted-by-x", "networks-5-5-independent"),
}

_PUBLISHED = dict.fromkeys(
    [
        *_FROM_LIBRARY,
        *_SPIRALS[:2],
        *(f"{kind}-5-nats" for kind in ("normal", "student", "uniform", "log-gamma", "smoothed")),
        *(
            task.name
            for family in (pictures, labels, channels, shapes, order)
            for task in family.TASKS
            if task.name not in _LARGE
        ),
    ]
)
_FAMILIES = _rows([name for name in _PUBLISHED if name not in _TWINS])

SUITES: dict[str, Suite] = {
    "tasks": Suite("Ten tasks", _rows(list(TEN)), estimators=ALL),
    "beyond_normal": Suite(
        "The forty tasks of 'Beyond Normal'",
        tuple(library.task_of(name, rows=10_000) for name in BEYOND_NORMAL),
        seeds=1,
        estimators=(*OURS, "mi-estimators/thorough"),
    ),
    "grid": Suite(
        "The grid of mutinfo: six laws at 1 to 10 nats",
        grid.TASKS,
        seeds=1,
        estimators=(*OURS, "torch-mist/smile", "plain/ksg"),
    ),
    "pictures": Suite("Pictures and documents", pictures.TASKS),
    "discrete": Suite("Labels and counts", labels.TASKS),
    "shapes": Suite("Curves, signs, shapes, networks", (*channels.TASKS, *shapes.TASKS)),
    "order": Suite("Dependent, repeated and sorted rows", order.TASKS, estimators=OURS),
    "narrow": Suite("One column a side", _rows(_NARROW), seeds=1),
    "frontier": Suite("Laws where peers are strong", _rows(_FRONTIER), seeds=1),
    "published": Suite(
        "All families",
        _FAMILIES,
        seeds=5,
        estimators=OURS,
    ),
    "functions": Suite(
        "Functions of several columns, written after the estimator",
        functions.TASKS,
        seeds=2,
        estimators=OURS,
    ),
    "fast": Suite(
        "All families and functions, with effort='fast'",
        (*_FAMILIES, *functions.TASKS),
        seeds=2,
        estimators=("mi-estimators/fast",),
    ),
    "few_rows": Suite(
        "All families, 500 rows",
        tuple(replace(task, rows=500) for task in _FAMILIES if task.groups is None),
        seeds=2,
        estimators=OURS,
    ),
    "all_laws": Suite(
        "All laws of `laws.TASKS`",
        tuple(library.task_of(name) for name in library.LAWS),
        seeds=1,
        estimators=OURS,
    ),
    "large": Suite(
        "Many rows or many nats",
        _rows(_LARGE),
        seeds=1,
        estimators=(*OURS, "mi-estimators/thorough"),
    ),
    "cost": Suite("Cost against rows and columns", cost.TASKS, seeds=1),
}
"""Suite → its laws and how they are run."""

__all__ = ["SUITES", "TASKS", "TEN", "Suite", "Task"]
