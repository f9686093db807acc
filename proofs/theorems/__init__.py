"""One theorem a module, by chapter. The module's name is its permanent slug, and `THEOREM` is the theorem.

To add one, copy `_template.py` to a chapter, under its slug; its comments say what belongs where. `proofs.engine` has
all the words that a theorem needs.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module


def modules(package: str = __name__) -> dict[str, str]:
    """Return the modules of theorems below the package, by slug; those that begin with an underscore are none.

    >>> modules()["dv_representation"]
    'proofs.theorems.bounds.dv_representation'
    """
    below = pkgutil.walk_packages(import_module(package).__path__, f"{package}.")
    names = [module.name for module in below if not module.ispkg]
    return {slug: name for name in names if not (slug := name.rpartition(".")[2]).startswith("_")}
