"""The page of runs: theory, alerts, and what is missing."""

import inspect
import json
import re

from matplotlib import rc_context
from matplotlib.figure import Figure

from llm_adapter.loss import alerts as alerts_module
from llm_adapter.report import main as report
from llm_adapter.training.page import ADVICE, MAIN, SHARE, draw, named_apart, verdict
from mi_estimators.display.runs import read_run


def test_report(tmp_path, capsys):
    """The report shows theory, alerts and what is missing."""
    run = tmp_path / "a<b"
    run.mkdir()
    facts = {
        "bound": "js",
        "loss_start": 1.386294,
        "loss_floor": 0.954771,
        "anchor": 0.6931,
        "versions": {},
    }
    (run / "run.json").write_text(json.dumps(facts))
    rows = [{"step": s, "loss": 1.3863 - s / 100, "gradient_noise/snr": None} for s in (1, 2)]
    rows[1]["alerts"] = {"collapse": "chosen < rejected"}
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "page.html"

    assert report(f"{run} --out {out}".split()) == 0

    page = out.read_text()
    assert page.count("<figure>") == 1  # the loss alone has points
    assert "a&lt;b, step 2, collapse: chosen &lt; rejected" in page
    assert "loss start 1.386" in page
    assert "<b, step" not in page

    with rc_context({"figure.constrained_layout.use": True, "axes.labelsize": 30}):
        assert report(f"{run} --out {out}".split()) == 0

    assert out.read_text() == page  # in whatever style the caller draws
    assert report([]) == 2
    assert "RUN: expected a value, got none" in capsys.readouterr().err
    assert report([str(tmp_path)]) == 2
    assert "expected a run's run.json and metrics.jsonl" in capsys.readouterr().err
    assert report(f"{run} --out {tmp_path / 'nowhere' / 'page.html'}".split()) == 2
    assert capsys.readouterr().err.count("\n") == 1


def write_run(folder, alerts=()):
    """Write the files of a run of three steps; step 2 has the alerts."""
    folder.mkdir()
    facts = {"bound": "dv", "loss_start": 0.6931, "versions": {}}
    (folder / "run.json").write_text(json.dumps(facts))
    rows = [
        {
            "step": step,
            "loss": 0.69 - step / 100,
            "rewards/chosen": 0.75 * step,
            "rewards/rejected": 0.75 * step - 0.28,
            "rewards/margins": 0.28,
            "rewards/accuracies": 0.66,
            "movement/common": 10.0 * step,
            "movement/margin": 2.8,
        }
        for step in (1, 2, 3)
    ]
    rows[1]["alerts"] = {kind: f"{kind} in words" for kind in alerts}
    rows.append({"step": 3, "eval_loss": 0.9, "eval_rewards/accuracies": 0.5})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    completions = [{"prompt": "2 + 2?", "before": "22", "after": "4 <b>"}]
    (folder / "completions.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in completions))

    return folder


def test_one_line(tmp_path):
    """A run in one line of words."""
    run = read_run(write_run(tmp_path / "dpo", ["drift", "starved", "interval"]))
    assert verdict(run) == (
        "dpo, after 3 steps: chosen +2.25, margin 0.28, accuracy 0.66, loss 0.6600; unstable at step 2; "
        "held out: loss 0.9000, accuracy 0.50. To try: a lower learning rate, or bound js, whose loss "
        "sees the common movement; a lower learning rate; a larger mix, or a larger beta."
    )

    calm = verdict(read_run(write_run(tmp_path / "calm")))
    assert "unstable" not in calm
    assert calm.endswith(
        "The chosen responses have become more likely (+16.40 nats on average), 2.80 nats more than "
        "the rejected ones."
    )


def test_advice():
    """Every alert has advice."""
    source = inspect.getsource(alerts_module)
    kinds = set(re.findall(r'sentences\["(\w+)"\]', source)) | {"filtered"}
    assert kinds == set(ADVICE)


def test_page(tmp_path):
    """The page has numbers, completions and four charts before the fold."""
    folders = [write_run(tmp_path / name) for name in ("dpo", "mio")]
    out = tmp_path / "page.html"

    assert report([*map(str, folders), "--out", str(out)]) == 0

    page = out.read_text()
    before, after = page.split("<details><summary>More charts")

    assert before.count("<figure>") == len(MAIN) == 4
    assert "4 &lt;b&gt;" in before

    for name in ("dpo", "mio"):
        assert f"{name}, held out" in before
        assert f"{name}, after 3 steps" in before

    assert after.index("</details>") < after.index("Settings and theory")


def test_axis_of_noise(tmp_path):
    """Noise does not fill an axis.

    A reward that moves by a hundredth of a nat is drawn flat; a share is drawn from 0 to 1.
    """
    run = write_run(tmp_path / "calm")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    for line in lines:
        line["rewards/chosen"] = line["rewards/rejected"] = 0.001 * line["step"]

    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for panel in MAIN:
        axes = Figure().add_axes((0.1, 0.1, 0.8, 0.8))
        assert draw(panel, [read_run(run)], axes)
        low, high = axes.get_ylim()
        assert high - low >= (1 if panel.least == SHARE else panel.least) - 1e-9
        assert axes.get_legend() is not None


def test_same_names(tmp_path):
    """Runs of one name are told apart.

    Two folders of one name keep their own alerts, curves and numbers.
    """
    folders = [tmp_path / name / "out" for name in ("one", "two")]
    for folder in folders:
        folder.parent.mkdir()
        write_run(folder, alerts=("collapse",))

    out = tmp_path / "page.html"
    assert report([*map(str, folders), "--out", str(out)]) == 0

    page = out.read_text()
    for name in ("one/out", "two/out"):
        assert f"{name}, step 2, collapse" in page
        assert f"{name}, last" in page

    assert [run.name for run in named_apart([read_run(folders[0])], folders[:1])] == ["out"]
