"""A run that goes on: each setting that differs is in force, stays as it was, or is refused; the message says which."""

import json

import pytest
import torch

from llm_adapter.training.resume import FILE, FIXED, STORED, compare, settings_of
from tests.llm_adapter.conftest import QUICK

SETTINGS = {
    name: f"{name} of before" for name in (*FIXED, *STORED, "beta", "warmup_steps", "max_steps")
}


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / FILE).write_text(json.dumps(SETTINGS))
    return str(tmp_path)


@pytest.mark.parametrize("name", SETTINGS)
def test_changed_settings(checkpoint, name):
    """Every changed setting has a word."""
    settings = SETTINGS | {name: "another"}
    if name in FIXED:
        with pytest.raises(
            ValueError, match=rf"^resume_from_checkpoint: expected {name} {name} of b"
        ):
            compare(checkpoint, settings)
        return

    force, words = compare(checkpoint, settings)
    stays = name in STORED

    assert force == (SETTINGS if stays else settings)

    verb = f"stays {name} of before, not another" if stays else f"was {name} of before, is another"
    assert words == f"{name} {verb}"


def test_nothing_changed(checkpoint, tmp_path):
    """Nothing changed is no word, and a foreign checkpoint is said so."""
    assert compare(checkpoint, SETTINGS) == (SETTINGS, "")
    (tmp_path / FILE).unlink()
    assert compare(checkpoint, SETTINGS)[1].startswith(f"no {FILE} in {checkpoint}")


def test_compared_settings(run, folder, tmp_path, capsys):
    """A stopped run is compared by its tokens and settings.

    Edited data, another batch and another seed are refused; the optimiser's own values stay in force.
    """
    data = tmp_path / "data.jsonl"
    rows = (folder / "few.jsonl").read_text().splitlines(keepends=True)
    data.write_text("".join(rows))
    flags = f"--train_data {data} --save_strategy steps --save_steps 1 --weight_decay 0.1"
    out = tmp_path / "out"

    assert run(folder, out, flags)[0] == 0

    again = f"{flags} --resume_from_checkpoint {out / 'checkpoint-1'}"
    capsys.readouterr()

    data.write_text("".join(rows[1:] + rows[:1]))
    assert run(folder, out, again)[0] == 2
    assert "resume_from_checkpoint: expected train_tokens" in capsys.readouterr().err

    data.write_text("".join(rows))
    assert run(folder, out, f"{again} --per_device_train_batch_size 2")[0] == 2
    assert "expected examples_per_step 4, as the stopped run had, got 2" in capsys.readouterr().err

    flags = "--per_device_train_batch_size 2 --gradient_accumulation_steps 2 --weight_decay 0"
    assert run(folder, out, f"{again} {flags} --warmup_steps 1")[0] == 0

    error = capsys.readouterr().err
    assert "warmup_steps was 0.0, is 1.0; weight_decay stays 0.1, not 0.0" in error
    assert "gradient_accumulation_steps was 1, is 2" in error
    assert json.loads((out / "run.json").read_text())["weight_decay"] == 0.1


def test_equal_runs(make_trainer):
    """The settings of equal runs are equal."""
    one, two = (make_trainer("--logging_steps 5"), make_trainer("--logging_steps 7"))
    settings = [
        settings_of(trainer.args, trainer.train_dataset, trainer.model) for trainer in (one, two)
    ]

    assert settings[0] == settings[1]

    with torch.no_grad():
        next(two.model.parameters()).add_(1)
    moved = settings_of(two.args, two.train_dataset, two.model)

    assert {name for name in moved if moved[name] != settings[0][name]} == {"model_weights"}
    assert QUICK  # the flags of `run`
