"""The recipe of the published setting: its stages, its hours, and a dry run through the same code."""

import yaml
from transformers import LlamaConfig

from benchmarks.published import __main__ as command
from benchmarks.published import recipe
from mi_estimators.display import jsonl


def test_eight_gpus(tmp_path):
    """Eight GPUs run the shipped configs unchanged."""
    for arm, config in recipe.ARMS.items():
        stage = next(
            s for s in recipe.stages(recipe.PUBLISHED, tmp_path) if s.name == f"{arm}: train"
        )
        folder = str(tmp_path / arm.lower())
        config = f"llm_adapter/configs/{config}"
        assert stage.command[-4:] == ("--config", config, "--output_dir", folder)
        assert (recipe.CONFIGS.parents[1] / config).is_file()


def test_numbers_of_gpus(tmp_path):
    """Every number of GPUs takes the published step."""
    values = yaml.safe_load((recipe.CONFIGS / recipe.ARMS["MIO"]).read_text())
    size = values["per_device_train_batch_size"]
    assert 8 * size * values["gradient_accumulation_steps"] == 128
    for gpus in (1, 2, 4, 16):
        stage = next(
            s for s in recipe.stages(recipe.Setting(gpus=gpus), tmp_path) if s.name == "MIO: train"
        )
        passes = int(stage.command[stage.command.index("--gradient_accumulation_steps") + 1])
        assert gpus * size * passes == 128


def test_hours_are_flops_over_speed():
    count = recipe.weights(LlamaConfig.from_dict(recipe.LLAMA3_8B))
    assert 8.0e9 < count < 8.1e9
    assumed = recipe.Assumptions(pairs=1000, row_tokens=100, peak=1e15, used=0.5, passes=10)
    hours = recipe.gpu_hours(count, assumed)
    assert hours["training"] == 1000 * 100 * count * 10 / 0.5e15 / 3600
    double = recipe.gpu_hours(2 * count, assumed)
    assert double["training"] == 2 * hours["training"]
    assert set(hours) == {"training", *recipe.SUITES}


def test_suites(tmp_path):
    """The suites hold reasoning and instructions, and the chats are ranked."""
    stages = list(recipe.stages(recipe.PUBLISHED, tmp_path))
    lines = "\n".join(stage.line for stage in stages)
    for task in ("gsm8k", "leaderboard_ifeval", "leaderboard_bbh", "leaderboard_musr"):
        assert lines.count(task) == len(recipe.ARMS)
    assert lines.count("--pairs test_prefs.parquet") == len(recipe.ARMS)


def test_dry_run(tmp_path, capsys, monkeypatch):
    """A dry run passes through all stages once."""
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    monkeypatch.setattr(recipe, "ARMS", {"MIO": recipe.ARMS["MIO"]})
    assert command.main(f"--dry_run --out {tmp_path}".split()) == 0
    rows = jsonl.read(tmp_path / "stages.jsonl")
    assert [row["stage"] for row in rows] == [
        "MIO: train",
        "MIO: rank the chat set's held-out pairs",
    ]
    assert (tmp_path / "mio" / "chat.json").is_file()
    assert "MIO: IFEval: not run, lm_eval is not installed" in capsys.readouterr().out
    command.main(f"--dry_run --out {tmp_path}".split())
    assert jsonl.read(tmp_path / "stages.jsonl") == rows
