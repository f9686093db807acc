"""A tiny run of four experiments, with what other rooms would have left beside it."""

import json

import pytest

from toy import report, suite
from toy.collapse.run import Collapse, Lazy
from toy.escape.run import EscapeFlow, EscapeSampled, MioLift, WhoSamples
from toy.estimate.run import Estimate
from toy.experiment import experiments
from toy.starvation.run import EffectiveSampleSize, GradientVariance

TINY = {
    "escape": (
        EscapeFlow("rlhf", (0.1, 1e-2, 1e-3)),
        EscapeFlow("sft", (0.1, 1e-2, 1e-3)),
        EscapeFlow("dpo", (0.1, 1e-2, 1e-3), (0.5,)),
        EscapeFlow("mio", (0.1, 1e-2), (1.0,)),
        MioLift(2, (0.1, 1e-2), (1.0,)),
        EscapeFlow("drawn_js", (0.1, 1e-2, 1e-3)),
        EscapeSampled((0.1, 1e-2, 3e-3), 8, replicas=4),
        EscapeSampled((0.1, 3e-2), 8, replicas=4, every_step=True),
        EscapeSampled((0.1, 1e-2), 64, "js", replicas=4),
        WhoSamples((0.1, 1e-3), groups=64),
    ),
    "collapse": (
        Collapse(betas=(0.1,), prompts=4, replicas=3, sft_steps=20, steps=20),
        Lazy("dv", 1e2),
        Lazy("js", 1e1),
    ),
    "starvation": (
        EffectiveSampleSize(1, 100, 2, (0.5, 1.0)),
        GradientVariance(("dv", "nwj", "js"), 2, 16, 40, (0.5, 1.0)),
    ),
    "estimate": (Estimate("Gaussian, 2 + 2 columns", 100, steps=50),),
}


@pytest.fixture(scope="session")
def tiny():
    """Specs by experiment."""
    return TINY


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A finished tiny run."""
    folder = tmp_path_factory.mktemp("results")
    ledger = [
        {
            "slug": "mio_anchor",
            "statement": "a < b & c",
            "title": "t",
            "tier": "symbolic",
            "ok": True,
            "seconds": 1,
        }
    ]
    (folder / "ledger.json").write_text(json.dumps(ledger))
    run = folder / "lm" / "mio"
    run.mkdir(parents=True)
    interval = [-0.8545267, 2.5462152]
    facts = {
        "model": "builtin",
        "bound": "js",
        "mix": 0.5,
        "beta": 0.1,
        "loss_start": 1.386294,
        "loss_floor": 0.954771,
    }
    (run / "run.json").write_text(
        json.dumps(facts | {"anchor": 0.693147, "no_collapse_interval": interval})
    )
    line = {
        "step": 1,
        "loss": 1.38,
        "rewards/chosen": 0.1,
        "rewards/rejected": -0.1,
        "rewards/accuracies": None,
    }
    lines = [line, line | {"step": 2}, {"step": 2, "eval_loss": 1.2}]
    (run / "metrics.jsonl").write_text(
        "".join(json.dumps(x) + "\n" for x in lines) + '{"step": 3, "lo'
    )
    report.build(suite.run(TINY, "tiny", 0, folder, bar=False), folder)

    return folder


@pytest.fixture
def nothing_runs(monkeypatch):
    """Take the functions that run specs away: whatever is run again fails."""
    for row in experiments().values():
        for kind in list(row.runs):
            monkeypatch.delitem(row.runs, kind)
