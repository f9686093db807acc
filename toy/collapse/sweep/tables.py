"""Tables of the collapse sweep, from rows alone."""

from __future__ import annotations

import numpy as np

from mi_estimators.display import Table, number

from ...rows import Row, of
from .figures import name_of, task


def kernels_table(rows: list[Row]) -> Table:
    """Largest gaps between flow and theory."""
    body = []
    for row in rows:
        measured, theory, betas = row["measured"], row["theory"], row["spec"]["betas"]
        final, expected = (np.array(part["final"], dtype=float) for part in (measured, theory))
        lowest = np.array(measured["lowest"], dtype=float)

        if row["spec"]["bound"] == "dv":
            loss = "DPO"
            turn = np.abs(lowest - np.minimum(expected, 0)).max()
            values = {
                "largest |z_w − closed form|": np.abs(final - expected).max(),
                "largest |lowest z_w − min(0, closed form)|: it never turns": turn,
            }
        else:
            loss = "MIO"
            depth = lowest * betas - np.array(theory["dip"])[:, None]
            values = {
                "least of lowest βz_w − its bound (≥ 0)": depth.min(),
                "largest |βz_w − ln 2| at the end, largest β": (np.abs(final - expected) * betas)[
                    :, -1
                ].max(),
                "largest z_l where κ ≥ 1 (≤ 0)": measured["highest_rejected"],
            }

        excess = f"{row['spec']['excess']:g}"
        body += [(loss, excess, quantity, number(value, 2)) for quantity, value in values.items()]

    return Table(("loss", "(ad − c²)/a²", "what", "value"), body)


def plane_table(row: Row) -> Table:
    """Curvature of each loss along the common mode beside theory, and the descent's lowest and last z_w."""
    body = []
    for name, field in row["measured"]["fields"].items():
        theory = row["theory"]["common_curvature"].get(name)
        body.append(
            (
                name_of(name),
                f"{field['common_curvature']:.4f}",
                "" if theory is None else f"{theory:.4f}",
                f"{field['lowest']:+.3f}",
                f"{field['path'][1][0]:+.3f}",
            )
        )

    return Table(("loss", "curvature", "theory", "lowest z_w of the path", "last z_w"), body)


def _plus_minus(values: np.ndarray) -> str:
    """Return the mean and its standard error; nothing of a single value."""
    if len(values) < 2:
        return ""
    return f"{values.mean():+.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}"


def _held_out(row: Row) -> dict[str, np.ndarray]:
    """Return the gains of every tuned loss on the held-out replicas."""
    return {
        name: np.array(part["tuned"]["held_out"], dtype=float)
        for name, part in row["measured"]["losses"].items()
    }


def tuned_table(rows: list[Row]) -> Table:
    """Best setting of every loss, what it is worth, and how much more than DPO on the same replicas."""
    body = []
    for row in rows:
        gains = _held_out(row)
        for name, gain in gains.items():
            best = row["measured"]["losses"][name]["tuned"]
            setting = f"{best['beta']:g}, {best['rate']:g}"
            end = "" if best["z_chosen"] is None else f"{best['z_chosen']:+.2f}"
            cells = (_plus_minus(gain), _plus_minus(gain - gains["dpo"]), end)
            body.append((task(row), name_of(name), setting, *cells))

    head = ("task", "loss", "β, η", "gain ± standard error", "gain − DPO's, paired")
    return Table((*head, "z_w, all replicas"), body)


def floor_table(rows: list[Row]) -> Table:
    """The JS family's lowest mean βz_w beside its bound, which holds while the loss is at most its start."""
    body = []
    for row in rows:
        losses = row["measured"]["losses"]
        for name, end in row["theory"].items():
            if name not in losses:
                continue

            below_start, lowest = (
                np.array(
                    [np.array(s[key], dtype=float) * s["beta"] for s in losses[name]["settings"]]
                )
                for key in ("lowest_below_start", "lowest")
            )

            body.append(
                (
                    task(row),
                    name_of(name),
                    f"{end:.3f}",
                    f"{np.nanmin(below_start):+.3f}",
                    f"{int((below_start < end).sum())} of {below_start.size}",
                    f"{np.nanmin(lowest):+.3f}",
                )
            )

    head = ("task", "loss", "bound", "lowest while loss ≤ start", "runs below the bound")
    return Table((*head, "lowest at any step"), body)


def summary(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Return the lines of the report's head: what tuned MIO gains over tuned DPO."""
    lines = []
    for row in of(rows, "Responses") + of(rows, "Sequences"):
        gains = _held_out(row)
        if {"dpo", "mio"} <= gains.keys():
            difference = _plus_minus(gains["mio"] - gains["dpo"])
            lines.append((f"gain of MIO less DPO's, each tuned, {task(row)}", difference, "none"))
    return lines
