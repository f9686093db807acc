"""The speed benchmark runs each side with the flags of its recipe."""

import pytest

from benchmarks.llm import speed

SETTING = {
    "model": "builtin",
    "lengths": "short",
    "negatives": 1,
    "examples": 2,
    "precision": "fp32",
    "steps": 2,
}
RECIPES = {  # side: the weights' precision, whether activations are computed again
    "ours": ("torch.float32", False),
    "ours, lean": ("torch.bfloat16", True),
}


@pytest.mark.parametrize("name", [pytest.param("ours", marks=pytest.mark.broad), "ours, lean"])
def test_recipe(name):
    """A side is measured as its recipe says."""
    side = next(side for side in speed.SIDES if side.name == name)
    outcome = speed.run(side, SETTING)
    assert (outcome["weights"], outcome["checkpointing"]) == RECIPES[name]
    assert len(outcome["cpu_seconds"]) == 2
    assert outcome["peak_bytes"] > outcome["imports_bytes"] > 0


def test_collate(capsys):
    """A line a setting says how long its batches take to make."""
    assert (
        speed.main(
            ["--collate", "--model", "builtin", "--lengths", "short", "--negatives", "1", "2"]
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["short, K = 1", "short, K = 2"]
    assert all("4 examples collated in" in line for line in lines)
