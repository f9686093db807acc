"""Tables of the collapse sweep, from rows alone."""

from __future__ import annotations

import numpy as np

from mi_estimators.display.table import Table, number

from ...rows import Row
from .figures import NAMES, task


def kernels_table(rows: list[Row]) -> Table:
    """Largest gaps between flow and theory."""
    body = []
    for row in rows:
        spec, measured, said = row["spec"], row["measured"], row["theory"]
        final, theory = (np.array(part["final"], dtype=float) for part in (measured, said))
        if spec["bound"] == "dv":
            lowest = np.array(measured["lowest"], dtype=float)
            for what, gap in (
                ("largest |z_w − closed form|", final - theory),
                (
                    "largest |lowest z_w − min(0, closed form)|: it never turns",
                    lowest - np.minimum(theory, 0),
                ),
            ):
                body.append(("DPO", f"{spec['excess']:g}", what, number(np.abs(gap).max(), 2)))
            continue
        depth = np.array(measured["lowest"]) * spec["betas"] - np.array(said["dip"])[:, None]
        body.append(
            (
                "MIO",
                f"{spec['excess']:g}",
                "least of lowest βz_w − its bound (≥ 0)",
                number(depth.min(), 2),
            )
        )
        gap = (np.abs(final - theory) * spec["betas"])[:, -1].max()
        body.append(
            (
                "MIO",
                f"{spec['excess']:g}",
                "largest |βz_w − ln 2| at the end, largest β",
                number(gap, 2),
            )
        )
        body.append(
            (
                "MIO",
                f"{spec['excess']:g}",
                "largest z_l where κ ≥ 1 (≤ 0)",
                number(measured["highest_rejected"], 2),
            )
        )
    return Table(("loss", "(ad − c²)/a²", "what", "value"), body)


def plane_table(row: Row) -> Table:
    """Curvature of each loss along the common mode beside theory, and the descent's lowest and last z_w."""
    body = []
    for name, field in row["measured"]["fields"].items():
        said = row["theory"]["common_curvature"].get(name)
        end = f"{field['path'][1][0]:+.3f}"
        curvature = f"{field['common_curvature']:.4f}"
        body.append(
            (
                NAMES[name],
                curvature,
                "" if said is None else f"{said:.4f}",
                f"{field['lowest']:+.3f}",
                end,
            )
        )
    return Table(("loss", "curvature", "theory", "lowest z_w of the path", "last z_w"), body)


def plus_minus(values: np.ndarray) -> str:
    """Return the mean and its standard error; nothing of a single value."""
    return (
        f"{values.mean():+.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}"
        if len(values) > 1
        else ""
    )


def tuned_table(rows: list[Row]) -> Table:
    """Best setting of every loss, what it is worth, and how much more than DPO on the same replicas."""
    body = []
    for row in rows:
        found = {name: part["tuned"] for name, part in row["measured"]["losses"].items()}
        dpo = np.array(found["dpo"]["held_out"], dtype=float)
        for name, best in found.items():
            held = np.array(best["held_out"], dtype=float)
            cells = [plus_minus(v) for v in (held, held - dpo)]
            end = "" if best["z_chosen"] is None else f"{best['z_chosen']:+.2f}"
            body.append(
                (task(row), NAMES[name], f"{best['beta']:g}, {best['rate']:g}", *cells, end)
            )
    return Table(
        (
            "task",
            "loss",
            "β, η",
            "gain ± standard error",
            "gain − DPO's, paired",
            "z_w, all replicas",
        ),
        body,
    )


def floor_table(rows: list[Row]) -> Table:
    """The JS family's lowest mean βz_w beside its bound, which holds while the loss is at most its start."""
    body = []
    for row in rows:
        for name, end in row["theory"].items():
            if name not in row["measured"]["losses"]:
                continue
            settings = row["measured"]["losses"][name]["settings"]
            below, all_steps = (
                np.array([np.array(s[key], dtype=float) * s["beta"] for s in settings])
                for key in ("lowest_below_start", "lowest")
            )
            cells = (
                f"{np.nanmin(below):+.3f}",
                f"{int((below < end).sum())} of {below.size}",
                f"{np.nanmin(all_steps):+.3f}",
            )
            body.append((task(row), NAMES[name], f"{end:.3f}", *cells))
    head = (
        "task",
        "loss",
        "bound",
        "lowest while loss ≤ start",
        "runs below the bound",
        "lowest at any step",
    )
    return Table(head, body)
