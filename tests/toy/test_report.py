"""Rows, resumption, the command line, and the page."""

import dataclasses
import json
import math
import re
import signal
import subprocess
import sys
import time

import pytest

import toy.experiment
import toy.rows
from mi_estimators.display.style import INK
from mi_estimators.display.table import number
from toy import logs, report, suite
from toy.__main__ import main
from toy.collapse.run import Collapse, Lazy
from toy.escape.run import EscapeFlow, EscapeSampled, MioLift, WhoSamples
from toy.estimate.run import Estimate
from toy.experiment import experiments
from toy.models.statistics import fit_exponent
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
    "estimate": (Estimate(0.5, 1, 100),),
}
COUNT = sum(map(len, TINY.values()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished tiny run with what other rooms would have left beside it."""
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
def page(folder):
    return (folder / report.FILE).read_text(encoding="utf-8")


def test_rows_say_what_was_run_with_what_and_what_came(folder):
    rows = toy.rows.read(folder / toy.rows.FILE)
    assert len(rows) == COUNT
    for row in rows:
        assert row["experiment"] in TINY
        assert set(row["versions"]) == {"python", "torch", "mi-estimators"}
        assert {"spec", "seed", "measured", "theory", "seconds", "suite", "kind"} <= set(row)
    text = (folder / toy.rows.FILE).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_never_is_null(folder):
    (row,) = toy.rows.of(toy.rows.read(folder / toy.rows.FILE), "EscapeFlow", objective="mio")
    assert row["measured"]["time"] == row["theory"]["time"] == [[None, None]]


def test_figures_lie_beside_the_page_as_png_and_svg(folder):
    for name in (
        "escape",
        "escape_sampled",
        "who_samples",
        "lift",
        "collapse",
        "lazy",
        "ess",
        "variance",
        "language_model",
    ):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{name}.svg").read_text().startswith("<svg")


def test_the_page_is_self_contained(page):
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    assert not re.findall(r"@import|url\(\s*[\"']?(?!#)|<script[^>]+src|<link|<iframe", page)
    assert page.count("<figure ") == page.count("<figcaption>") == 9


def test_figures_take_the_ink_of_the_page(page):
    assert INK not in page
    assert "currentColor" in page
    assert "prefers-color-scheme: dark" in page


def test_the_page_shows_theory_beside_the_measured(page):
    for value in ("506.4063", "54.09007", "never", "0.693", "-0.855", "e^(−2I)"):
        assert value in page.replace("−0.855", "-0.855"), value


def test_the_page_shows_what_other_rooms_left_and_escapes_it(page):
    assert "a &lt; b &amp; c" in page
    assert "mio: js, mix 0.5, β 0.1" in page
    assert "[-0.8545, 2.5462]" in page


def test_sections_without_data_are_left_out(tmp_path):
    rows = suite.run({"collapse": (Lazy("dv", 1.0),)}, "tiny", 0, tmp_path, bar=False)
    text = report.build(rows, tmp_path).read_text()
    for heading in ("language model", "theorems", "Starvation"):
        assert heading not in text


@pytest.fixture
def nothing_runs(monkeypatch):
    """Take the functions that run specs away: whatever is run again fails."""
    for row in experiments().values():
        for kind in list(row.runs):
            monkeypatch.delitem(row.runs, kind)


def test_a_second_run_repeats_nothing(folder, nothing_runs):
    before = (folder / toy.rows.FILE).read_bytes()
    assert len(suite.run(TINY, "tiny", 0, folder, bar=False)) == COUNT
    assert (folder / toy.rows.FILE).read_bytes() == before


def test_another_seed_or_spec_is_run(tmp_path):
    spec = EscapeSampled((0.1,), 8, replicas=2)
    suite.run({"escape": (spec,)}, "tiny", 0, tmp_path, bar=False)
    suite.run({"escape": (spec,)}, "tiny", 1, tmp_path, bar=False)
    suite.run({"escape": (EscapeSampled((0.2,), 8, replicas=2),)}, "tiny", 1, tmp_path, bar=False)
    rows = toy.rows.read(tmp_path / toy.rows.FILE)
    assert [row["seed"] for row in rows] == [0, 1, 1]
    assert len(toy.rows.latest(rows)) == 2


def test_an_interrupted_run_keeps_its_rows_and_goes_on(tmp_path, monkeypatch):
    group = {"collapse": (Lazy("dv", 1.0), Lazy("js", 1.0), Lazy("js", 2.0))}
    called, runs = [], experiments()["collapse"].runs
    real = runs[Lazy]

    def run(spec, seed):
        called.append(spec)
        if len(called) == 2:
            raise KeyboardInterrupt
        return real(spec, seed)

    monkeypatch.setitem(runs, Lazy, run)
    with pytest.raises(KeyboardInterrupt):
        suite.run(group, "tiny", 0, tmp_path, bar=False)
    path = tmp_path / toy.rows.FILE
    assert len(toy.rows.read(path)) == 1
    with path.open("a") as file:
        file.write('{"kind": "Lazy", "cut sho')  # a line that the interruption cut short
    assert len(suite.run(group, "tiny", 0, tmp_path, bar=False)) == 3
    assert called == [
        group["collapse"][0],
        group["collapse"][1],
        group["collapse"][1],
        group["collapse"][2],
    ]
    assert len(toy.rows.read(path)) == len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_a_killed_process_leaves_its_rows_and_the_same_command_goes_on(
    tmp_path, monkeypatch, how, code
):
    """A real process, stopped after its first row; what it finished is not run again."""
    path, errors = tmp_path / toy.rows.FILE, tmp_path / "errors"
    command = [sys.executable, "-m", "toy", "collapse", "--quick", "--out", str(tmp_path)]
    with errors.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        deadline = time.monotonic() + 300
        while not (path.exists() and b"\n" in path.read_bytes()):
            assert process.poll() is None, errors.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(how)
        assert process.wait(60) == code
    assert "collapse: " in errors.read_text()  # the progress bar
    if how == signal.SIGINT:
        assert "Run the same command again" in errors.read_text()
    before, called = path.read_bytes(), []
    finished = len(toy.rows.read(path))
    row = experiments()["collapse"]
    specs_of = row.quick
    assert 1 <= finished < len(specs_of)
    for kind in row.runs:
        monkeypatch.setitem(row.runs, kind, lambda spec, seed: (called.append(spec) or {}, {}))
    rows = suite.run({"collapse": specs_of}, "quick", 0, tmp_path, bar=False)
    assert called == list(specs_of[finished:])
    assert path.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert len(rows) == len(toy.rows.read(path)) == len(specs_of)


def test_report_rebuilds_from_the_rows_alone(folder, page, nothing_runs, capsys):
    (folder / report.FILE).unlink()
    assert main(["page", "--out", str(folder)]) == 0
    assert (folder / report.FILE).read_text() == page
    assert "report.html" in capsys.readouterr().out


def test_one_experiment_alone(tmp_path, monkeypatch):
    rows = experiments()
    rows["collapse"] = dataclasses.replace(rows["collapse"], quick=(Lazy("dv", 1.0),))
    monkeypatch.setattr(toy.experiment, "experiments", lambda: rows)
    assert (
        main(["collapse", "--quick", "--out", str(tmp_path / "new" / "folder"), "--seed", "3"]) == 0
    )
    (row,) = toy.rows.read(tmp_path / "new" / "folder" / toy.rows.FILE)
    assert (row["suite"], row["seed"]) == ("quick", 3)


@pytest.mark.parametrize("row", experiments().values(), ids=experiments())
def test_every_suite_has_every_kind_of_spec(row):
    for group in (row.full, row.quick):
        assert {type(spec) for spec in group} == set(row.runs)
    assert set(row.demo) <= set(row.full)


def test_a_report_without_rows_says_what_to_do(tmp_path, capsys):
    assert main(["page", "--out", str(tmp_path)]) == 1
    assert re.search(
        r"expected rows or runs in .*got none; run `python -m toy demo`", capsys.readouterr().err
    )


def test_an_out_that_is_a_file_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--quick", "--out", str(tmp_path / "file" / "below")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("toy: ")
    assert error.count("\n") == 1


def test_damaged_rows_and_bad_seeds_are_named(tmp_path, capsys):
    (tmp_path / toy.rows.FILE).write_text('{"no": "row"}\n')
    assert main(["page", "--out", str(tmp_path)]) == 1
    assert "expected a row of results in line 1" in capsys.readouterr().err
    assert main(["demo", "--seed", "-1", "--out", str(tmp_path)]) == 1
    assert "seed: expected an integer of at least 0, got -1" in capsys.readouterr().err


def test_an_unknown_command_prints_the_usage():
    result = subprocess.run(
        [sys.executable, "-m", "toy", "dance"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "usage: python -m toy" in result.stderr


def test_interruption_at_the_command_line(tmp_path, monkeypatch, capsys):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setitem(experiments()["escape"].runs, EscapeFlow, stop)
    assert main(["escape", "--quick", "--out", str(tmp_path)]) == 130
    assert "Run the same command again" in capsys.readouterr().err


def test_fitted_exponent_of_a_power_law():
    eps = [1e-1, 1e-2, 1e-3, 1e-4]
    slope, half = fit_exponent(eps, [3 * e**-0.7 for e in eps])
    assert slope == pytest.approx(0.7)
    assert half == pytest.approx(0, abs=1e-9)
    assert math.isnan(fit_exponent(eps[:2], [1.0, 2.0])[1])


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "never"), (math.inf, "never"), (0.0, "0"), (506.40625, "506.4"), (5e-5, "5.000e-05")],
)
def test_numbers_as_text(value, text):
    assert number(value) == text


def test_a_ledger_cut_short_is_left_out(tmp_path):
    (tmp_path / "ledger.json").write_text('[{"slug": ')
    assert logs.read_ledger(tmp_path) == []
    assert logs.read_runs(tmp_path) == []
