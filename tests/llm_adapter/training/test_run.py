"""A run checks its data against its model."""

import json


def test_both_data(run, changed, folder, tmp_path, capsys):
    """A run checks both of its data against the model."""
    short = changed(folder, tmp_path / "short", max_position_embeddings=140)
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"prompt": "2" * 140, "chosen": "4", "rejected": "5"}) + "\n")

    assert run(folder, tmp_path / "out", f"--eval_data {long}", short)[0] == 2
    assert (
        f"max_length: expected at most the model's 140 positions, got 142 tokens in {long}:1"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_completions(run, folder, tmp_path):
    """Completions before and after are kept and change nothing."""
    data = f"--eval_data {folder / 'few.jsonl'}"
    status, lines = run(folder, tmp_path / "some", f"{data} --completions 2 --learning_rate 0.1")

    assert status == 0

    rows = [json.loads(row) for row in (tmp_path / "some" / "completions.jsonl").open()]
    assert [sorted(row) for row in rows] == [["after", "before", "prompt"]] * 2

    asked = [json.loads(row)["prompt"] for row in (folder / "few.jsonl").open()]
    assert [row["prompt"] for row in rows] == asked[:2]
    assert any(row["before"] != row["after"] for row in rows)

    _, none = run(folder, tmp_path / "none", f"{data} --completions 0 --learning_rate 0.1")
    assert not (tmp_path / "none" / "completions.jsonl").exists()
    assert [line["loss"] for line in lines if "loss" in line] == [
        line["loss"] for line in none if "loss" in line
    ]
