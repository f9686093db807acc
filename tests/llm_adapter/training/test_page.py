"""The page of runs: theory, alerts, and what is missing."""

import json

from matplotlib import rc_context

from llm_adapter.report import main as report


def test_report_shows_theory_alerts_and_what_is_missing(tmp_path, capsys):
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
    assert report([str(run), "--out", str(out)]) == 0
    page = out.read_text()
    assert page.count("<figure>") == 1  # the loss alone has points
    assert "a&lt;b, step 2, collapse: chosen &lt; rejected" in page
    assert "loss start 1.386" in page
    assert "<b, step" not in page
    with rc_context({"figure.constrained_layout.use": True, "axes.labelsize": 30}):
        assert report([str(run), "--out", str(out)]) == 0
    assert out.read_text() == page  # in whatever style the caller draws
    assert report([]) == 2
    assert "RUN: expected a value, got none" in capsys.readouterr().err
    assert report([str(tmp_path)]) == 2
    assert "expected a run's run.json and metrics.jsonl" in capsys.readouterr().err
    assert report([str(run), "--out", str(tmp_path / "nowhere" / "page.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
