"""The suites: tables of laws with known information, a row each, on which estimators are measured.

    from benchmarks.estimators.suites import SUITES, TASKS
    task = TASKS["blobs-16x16"]
    x, y = task.sample(task.rows, torch.Generator().manual_seed(0))
    mi.estimate_mi(x, y, discrete=task.discrete)    # against task.truth

A family of laws has a module, which ends with its rows.
"""

from __future__ import annotations

from . import channels, grid, labels, library, order, pictures, shapes
from .library import BEYOND_NORMAL, TEN
from .task import Task

TASKS: dict[str, Task] = {
    task.name: task
    for family in (library, grid, pictures, labels, channels, shapes, order)
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


def _rows(names: list[str]) -> tuple[Task, ...]:
    return tuple(TASKS[name] for name in names)


_PUBLISHED = dict.fromkeys(
    [
        *_FROM_LIBRARY,
        *_SPIRALS[:2],
        *(f"{kind}-5-nats" for kind in ("normal", "student", "uniform", "log-gamma", "smoothed")),
        *(
            task.name
            for family in (pictures, labels, channels, shapes, order)
            for task in family.TASKS
        ),
    ]
)

SUITES: dict[str, tuple[Task, ...]] = {
    "tasks": _rows(list(TEN)),
    "beyond_normal": tuple(library.task_of(name, rows=10_000) for name in BEYOND_NORMAL),
    "grid": grid.TASKS,
    "pictures": pictures.TASKS,
    "discrete": labels.TASKS,
    "shapes": (*channels.TASKS, *shapes.TASKS),
    "order": order.TASKS,
    "narrow": _rows(_NARROW),
    "frontier": _rows(_FRONTIER),
    "published": _rows(list(_PUBLISHED)),
    "all_laws": tuple(library.task_of(name) for name in library.LAWS),
}
"""Suite → its rows.

Ten tasks, the forty of 'Beyond Normal', the grid of mutinfo; then our families: pictures, labels and counts, curves and
shapes, dependent or sorted rows; one x and one y; laws where peers are strong; all families; the library's laws.
"""

__all__ = ["SUITES", "TASKS", "TEN", "Task"]
