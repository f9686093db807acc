"""A run checks its data against its model."""

import json


def test_a_run_checks_both_of_its_data_against_the_model(run, changed, folder, tmp_path, capsys):
    short = changed(folder, tmp_path / "short", max_position_embeddings=140)
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"prompt": "2" * 140, "chosen": "4", "rejected": "5"}) + "\n")
    assert run(folder, tmp_path / "out", f"--eval_data {long}", short)[0] == 2
    assert (
        f"max_length: expected at most the model's 140 positions, got 142 tokens in {long}:1"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
