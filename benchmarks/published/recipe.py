"""The stages of the published setting at 7–8 B, and what they cost; the tiny size passes through the same lines."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_adapter.arguments.names import BUILTIN
from llm_adapter.data.sources import PAIRS

CONFIGS = Path(__file__).parents[2] / "llm_adapter" / "configs"
PACKAGE = CONFIGS.parent.name
ARMS = {"DPO": "llama3-8b-dpo.yaml", "MIO": "llama3-8b-mio.yaml"}
LLAMA3_8B = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
}
"""The shape of Llama-3-8B, from which weights are counted without a download."""


@dataclass(frozen=True)
class Suite:
    """Tasks of lm-eval: questions, tokens read for one (examples and choices included), tokens written."""

    tasks: tuple[str, ...]
    questions: int
    read: int
    written: int
    about: str


SUITES = {
    "instructions": Suite(("leaderboard_ifeval",), 541, 60, 1280, "IFEval"),
    "arithmetic": Suite(("gsm8k",), 1319, 1000, 256, "GSM8K, 5 examples"),
    "mathematics": Suite(("leaderboard_math_hard",), 1324, 900, 1024, "MATH, level 5, 4 examples"),
    "reasoning": Suite(("leaderboard_bbh",), 5761, 2500, 0, "BIG-Bench Hard, 3 examples"),
    "steps": Suite(("leaderboard_musr",), 756, 4000, 0, "MuSR"),
    "science": Suite(
        ("leaderboard_gpqa", "arc_challenge"), 2364, 1500, 0, "GPQA and ARC challenge"
    ),
    "knowledge": Suite(("leaderboard_mmlu_pro",), 12032, 2500, 0, "MMLU-Pro, 5 examples"),
}
"""Questions as the sets' cards give them; tokens are estimates to one digit, for the evaluation's hours."""
CHAT = "HuggingFaceH4/ultrafeedback_binarized"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a run of the recipe is: its model and data, its devices, and how many questions are asked."""

    model: str | None = None  # the config's own
    data: str | None = None
    held_out: str = "test_prefs.parquet"
    gpus: int = 8
    gpu_memory: float = 80.0
    limit: int | None = None  # questions of a suite, and examples that are ranked
    steps: int | None = None
    suites: tuple[str, ...] = tuple(SUITES)


PUBLISHED = Setting()
TINY = Setting(
    model=BUILTIN, data=PAIRS.as_posix(), held_out=PAIRS.as_posix(), gpus=0, limit=2, steps=2,
    suites=("instructions",),
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A command of the recipe; `needs` is the module without which it is left out."""

    name: str
    command: tuple[str, ...]
    needs: str | None = None

    @property
    def line(self) -> str:
        """The shell command."""
        return shlex.join(self.command)


def stages(setting: Setting, out: Path) -> Iterator[Stage]:
    """Yield the commands: the chat set's held-out pairs, then each arm's training, its ranking and its suites."""
    on_gpus = setting.gpus > 0
    if not Path(setting.held_out).exists():
        save = f"load_dataset('{CHAT}', split='test_prefs').to_parquet('{setting.held_out}')"
        program = f"from datasets import load_dataset; {save}"
        yield Stage("chat set", ("python", "-c", program), "datasets")

    for arm, config in ARMS.items():
        folder = (out / arm.lower()).as_posix()
        launcher = ["python"]
        if on_gpus:
            fsdp = (Path(PACKAGE) / "configs" / "accelerate" / "fsdp2.yaml").as_posix()
            launcher = ["accelerate", "launch", "--config_file", fsdp]
            launcher += ["--num_processes", f"{setting.gpus}"]

        path = f"{PACKAGE}/configs/{config}" if on_gpus else (CONFIGS / config).as_posix()
        train = [*launcher, "-m", "llm_adapter.train", "--config", path, "--output_dir", folder]
        train += _changes(setting)
        yield Stage(f"{arm}: train", tuple(train))

        rank = ["python", "-m", "llm_adapter.evaluate", "--model", folder]
        rank += [
            "--pairs",
            setting.held_out,
            "--max_length",
            "2048",
            "--out",
            f"{folder}/chat.json",
        ]

        rank += [] if on_gpus else ["--disable_tqdm", "true"]
        yield Stage(f"{arm}: rank the chat set's held-out pairs", tuple(rank))

        for name in setting.suites:
            suite = SUITES[name]
            asked = ["lm_eval", "--model", "hf", "--model_args"]
            asked += [f"pretrained={folder},dtype={'bfloat16' if on_gpus else 'float32'}"]
            asked += ["--tasks", ",".join(suite.tasks), "--batch_size", "auto" if on_gpus else "1"]
            asked += ["--output_path", f"{folder}/{name}", "--apply_chat_template"]
            asked += ["--limit", f"{setting.limit}"] if setting.limit else []
            yield Stage(f"{arm}: {suite.about}", tuple(asked), "lm_eval")


def _changes(setting: Setting) -> list[str]:
    """Return the flags by which a setting differs from the config: none at the published size on eight GPUs."""
    flags = []
    if setting.model:
        flags += ["--model", setting.model]
    if setting.data:
        flags += ["--train_data", setting.data]

    if setting.steps:
        flags += ["--max_steps", f"{setting.steps}", "--save_strategy", "no"]
        flags += ["--bf16", "false", "--use_cpu", "true", "--disable_tqdm", "true"]
        flags += ["--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "1"]
        flags += ["--completions", "0", "--logging_steps", "1"]
    elif setting.gpus != PUBLISHED.gpus:
        # 128 examples a step, whatever the number of GPUs
        flags += ["--gradient_accumulation_steps", f"{128 // (4 * setting.gpus)}"]

    return flags


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What the hours rest on; nothing of it is measured here."""

    pairs: int = 61_135  # of train_prefs
    row_tokens: int = 800  # of a prompt with both responses, shared
    peak: float = 989e12  # FLOP a second of an H100, bf16
    used: float = 0.35  # share of the peak in training and reading
    written: float = 1500.0  # tokens a second of a GPU in generation
    passes: int = 10  # FLOP a weight and token: 2 forward, 4 back, 2 again (checkpointing), 2 for the reference


def weights(config: Any) -> int:
    """Return the number of weights, counted as `llm_adapter.plan` counts them."""
    from llm_adapter.training.memory import sizes_of

    return sizes_of(config).total


def gpu_hours(
    count: int, assumptions: Assumptions, setting: Setting = PUBLISHED
) -> dict[str, float]:
    """Return the GPU-hours of an arm: training with its reference pass, and each suite.

    Args:
        count: weights of the model.
        assumptions: lengths and speeds.
        setting: which suites are asked.
    """
    rate = assumptions.peak * assumptions.used
    tokens = assumptions.pairs * assumptions.row_tokens
    seconds = {"training": tokens * count * assumptions.passes / rate}

    for name in setting.suites:
        suite = SUITES[name]
        reading = 2 * count * suite.questions * suite.read / rate
        seconds[name] = reading + suite.questions * suite.written / assumptions.written

    return {name: value / 3600 for name, value in seconds.items()}
