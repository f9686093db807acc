"""What large inputs cost: CPU seconds and peak memory of an import, of a tall memory map, and of wide rows.

    python -m benchmarks.estimators.large
    python -m benchmarks.estimators.large tall "tall wide"

Each case runs in a process of its own. `import` is what the library costs beyond torch. `wide checks` reads and checks
rows without a fit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

RHO = 0.8


def mapped(folder: str, rows: int, columns: int, dtype: str) -> np.ndarray:
    """Write Gaussian rows whose two halves of columns have correlation RHO, and map them."""
    path, rng = Path(folder) / "rows.npy", np.random.default_rng(0)
    file = np.lib.format.open_memmap(path, "w+", dtype, (rows, columns))
    half, step = columns // 2, max(1, 2**22 // columns)

    for start in range(0, rows, step):
        part = file[start : start + step]
        part[:] = rng.normal(size=part.shape)
        part[:, half:] = RHO * part[:, :half] + np.sqrt(1 - RHO**2) * part[:, half:]

    file.flush()
    return np.load(path, mmap_mode="r")


def torch_alone() -> str:
    """Import torch and numpy."""
    import torch

    return torch.__version__


def library() -> str:
    """Import the library."""
    import mi_estimators

    return mi_estimators.__version__


def tall() -> str:
    """Estimate from 10⁶ rows of 1 + 1 columns."""
    return _estimate(10**6, 2, "float64")


def tall_wide() -> str:
    """Estimate from 10⁶ rows of 64 + 64 columns in float32."""
    return _estimate(10**6, 128, "float32")


def wide() -> str:
    """Estimate from 5000 rows of 3072 columns in float32 beside one column."""
    import mi_estimators as mi

    x, y = _wide_rows()
    return _first_lines(mi.estimate_mi(x, y))


def wide_checks() -> str:
    """Read and check 5000 rows of 3072 + 3072 columns."""
    from mi_estimators.estimation.pairs import fit_pairs

    x = _wide_rows()[0]
    pairs = fit_pairs(x, x[:, ::-1], None, discrete=None, seed=0)[1]
    return f"{tuple(pairs.x.shape)} and {tuple(pairs.y.shape)}"


def _wide_rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 3072)).astype(np.float32)
    return x, RHO * x[:, 0] + np.sqrt(1 - RHO**2) * rng.normal(size=5000)


def _estimate(rows: int, columns: int, dtype: str) -> str:
    import mi_estimators as mi

    with tempfile.TemporaryDirectory() as folder:
        values = mapped(folder, rows, columns, dtype)
        x, y = values[:, : columns // 2], values[:, columns // 2 :]
        return _first_lines(mi.estimate_mi(x, y))


def _first_lines(estimate: object) -> str:
    return "; ".join(str(estimate).splitlines()[:3])


CASES: dict[str, Callable[[], str]] = {
    "torch": torch_alone,
    "import": library,
    "tall": tall,
    "tall wide": tall_wide,
    "wide checks": wide_checks,
    "wide": wide,
}


def measured(case: str) -> tuple[float, float, str]:
    """Return CPU seconds, peak memory in MB and the output of a case, run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.estimators.large", "--run", case]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        output.seek(0)
        text = output.read().strip()

    if status:
        raise RuntimeError(f"{case}: the process ended with status {status}")

    kilobytes = 1 if sys.platform != "darwin" else 1024
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024 / kilobytes, text


def main(argv: list[str] | None = None) -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.estimators.large", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(CASES)}")
    parser.add_argument(
        "--run", choices=CASES, help="run this case in this process, without a measurement"
    )
    options = parser.parse_args(argv)

    if options.run:
        print(CASES[options.run]())
        return

    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"CASE: expected some of {', '.join(CASES)}, got {unknown[0]!r}")

    print(f"{'case':<12}{'CPU-s':>8}{'peak MB':>9}  result")
    for name in options.cases or CASES:
        seconds, memory, text = measured(name)
        print(f"{name:<12}{seconds:>8.1f}{memory:>9.0f}  {text}", flush=True)


if __name__ == "__main__":
    main()
