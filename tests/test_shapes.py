"""The jaxtyping annotations, checked at run time: in a process of their own, with beartype in the import hook."""

import subprocess
import sys
from pathlib import Path

CODE = """
import tests.typechecker
from jaxtyping import install_import_hook
with install_import_hook("mi_estimators", "tests.typechecker.check"):
    import mi_estimators as mi
    import torch
    from mi_estimators.estimation.critics import Separable

for batch in ((), (2,), (2, 3)):
    joint, product = torch.randn(*batch, 5), torch.randn(*batch, 7)
    for name, bound in {**mi.BOUNDS, "smile": mi.smile, "nwj": mi.nwj, "js": mi.js}.items():
        assert bound(joint, product).shape == batch, name
    assert mi.infonce(torch.randn(*batch, 4, 4)).shape == batch
    assert mi.effective_sample_size(product).shape == mi.starvation_index(product).shape == batch
    for name in mi.preference.PREFERENCE_BOUNDS:
        assert mi.preference_loss(joint, torch.randn(*batch, 5, 3), name).shape == (*batch, 5)
        assert mi.preference_loss(joint, torch.randn(*batch, 5), name).shape == (*batch, 5)
    assert mi.score_weights("infonce", joint, torch.randn(*batch, 5, 6))[1].shape == (*batch, 5, 6)
law = mi.laws.Finite(torch.full((2, 3), 1 / 6).log())
assert law.exact(mi.dv, torch.randn(4, 2, 3)).shape == (4,)
assert law.log_ratio(*law.sample(9)).shape == (9,)
x, y = mi.laws.Gaussian(0.5, 2).sample(128)
assert mi.laws.Gaussian(0.5, 2).log_ratio(x, y).shape == (128,)
mi.gradient_statistics(mi.dv, Separable(2, 2, hidden=4, zero_start=False), x, y, batch_size=32)
for name in mi.ESTIMATORS:
    mi.estimate_mi(x.numpy(), y, name, steps=2, hidden=4)
print("ok")
"""


def test_annotations():
    """Annotations hold at run time."""
    root = Path(__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        cwd=root,
    )

    assert result.stdout == "ok\n", result.stderr
