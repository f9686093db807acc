"""Fields of a run by subject: the objective, the data, the model. `arguments.py` joins them to TrainingArguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import mi_estimators as mi

from ..data.collate import LAYOUTS
from ..data.sources import check_source
from ..data.tokens import TRUNCATIONS
from ..loss.objective import LOG_RATIOS, NEGATIVES
from ..models import BUILTIN, check_model_name
from ..training.precision import ROUNDINGS, WEIGHTS
from .parser import about

Check = tuple[str, bool, str]  # field, whether its value is legal, what was expected


@dataclass
class ObjectiveArguments:
    """What is descended; `objective.py` computes it."""

    bound: str = field(
        default="js", metadata=about(f"One of {', '.join(mi.PREFERENCE_BOUNDS)}; dv: DPO, js: MIO.")
    )
    mix: float = field(
        default=0.5, metadata=about("Share of true negatives in the mixed marginal, in (0, 1].")
    )
    beta: float = field(
        default=0.1, metadata=about("Inverse temperature: T = beta ln policy/reference.")
    )
    loss: str | None = field(
        default=None,
        metadata=about(
            f"To compare with, in place of bound and mix: one of {', '.join(mi.ALTERNATIVES)}."
        ),
    )
    log_ratio: str = field(
        default="sum",
        metadata=about("sum: ln policy/reference of a response; mean: of its average token."),
    )
    label_smoothing: float = field(
        default=0.0,
        metadata=about("Probability that a rejected response is the better one, in [0, 0.5)."),
    )
    negatives: str = field(
        default="own",
        metadata=about(
            "own: a prompt's rejected responses; batch: those of a whole pass, of all processes."
        ),
    )
    diagnostics_steps: int = field(
        default=10, metadata=about("Steps between two readings of per-example gradients; 0: none.")
    )

    def checks(self) -> Iterator[Check]:
        """Yield the conditions on these fields."""
        yield (
            "bound",
            self.bound in mi.PREFERENCE_BOUNDS,
            f"one of {', '.join(mi.PREFERENCE_BOUNDS)}",
        )
        yield "mix", 0 < self.mix <= 1, "a number in (0, 1]"
        yield "beta", 0 < self.beta < float("inf"), "a finite number > 0"
        yield (
            "loss",
            self.loss is None or self.loss in mi.ALTERNATIVES,
            f"one of {', '.join(mi.ALTERNATIVES)}",
        )
        yield "log_ratio", self.log_ratio in LOG_RATIOS, f"one of {', '.join(LOG_RATIOS)}"
        yield "label_smoothing", 0 <= self.label_smoothing < 0.5, "a number in [0, 0.5)"
        yield "negatives", self.negatives in NEGATIVES, f"one of {', '.join(NEGATIVES)}"
        yield (
            "negatives",
            self.loss is None or self.negatives == "own",
            f"own with loss {self.loss}",
        )
        yield "diagnostics_steps", self.diagnostics_steps >= 0, "an integer ≥ 0"


@dataclass
class DataArguments:
    """Where preferences come from and how they become tokens."""

    train_data: str | None = field(
        default=None,
        metadata=about(
            "Preferences: JSON lines, parquet, a folder of them or a hub name (default: shipped pairs)."
        ),
    )
    eval_data: str | None = field(
        default=None, metadata=about("The same, to evaluate on, at the end at least.")
    )
    dataset_config: str | None = field(
        default=None, metadata=about("Of a hub name: its configuration.")
    )
    dataset_train_split: str = field(
        default="train", metadata=about("Of a hub name in train_data: its split.")
    )
    dataset_test_split: str = field(
        default="test", metadata=about("Of a hub name in eval_data: its split.")
    )
    max_length: int = field(
        default=1024, metadata=about("Most tokens of a prompt with one of its responses.")
    )
    truncation: str = field(
        default="right",
        metadata=about(
            f"Beyond max_length: {'; '.join(f'{name}: {does}' for name, does in TRUNCATIONS.items())}."
        ),
    )
    max_negatives: int | None = field(
        default=None, metadata=about("Keep at most this many rejected responses a prompt.")
    )
    chat: bool = field(
        default=False,
        metadata=about("Put plain strings, too, through the tokenizer's chat template."),
    )
    max_dropped: float = field(
        default=0.05,
        metadata=about(
            "Largest share of unusable rows to train without; they go to dropped.jsonl."
        ),
    )
    tokenize_workers: int = field(default=1, metadata=about("Processes that tokenise."))
    token_cache: str | None = field(
        default=None,
        metadata=about("Folder that keeps tokens between runs, or none (default: in HF_HOME)."),
    )

    def checks(self) -> Iterator[Check]:
        """Yield the conditions on these fields; a source has messages of its own."""
        for name in filter(None, (self.train_data, self.eval_data)):
            check_source(name)
        yield "max_length", self.max_length >= 2, "an integer ≥ 2"
        yield "truncation", self.truncation in TRUNCATIONS, f"one of {', '.join(TRUNCATIONS)}"
        yield (
            "max_negatives",
            self.max_negatives is None or self.max_negatives >= 1,
            "an integer ≥ 1",
        )
        yield "max_dropped", 0 <= self.max_dropped <= 1, "a number in [0, 1]"
        yield "tokenize_workers", self.tokenize_workers >= 1, "an integer ≥ 1"


@dataclass
class ModelArguments:
    """Which weights are trained, in which arithmetic, against which reference."""

    model: str = field(
        default=BUILTIN, metadata=about("'builtin', a directory, a .gguf file or a hub name.")
    )
    weights: str = field(
        default="fp32", metadata=about("fp32 or bf16; --bf16 true: fp32 weights, bf16 arithmetic.")
    )
    rounding: str = field(
        default="nearest",
        metadata=about("Of bf16 weights after a step: nearest, kahan (exact sums) or stochastic."),
    )
    lora_rank: int = field(
        default=0, metadata=about("Rank of LoRA adapters, with all else frozen; 0: all weights.")
    )
    lora_alpha: float | None = field(
        default=None, metadata=about("Scale of the adapters (default: twice the rank).")
    )
    lora_targets: str = field(
        default="all-linear", metadata=about("Adapted layers: names with commas, or all-linear.")
    )
    disable_dropout: bool = field(
        default=True, metadata=about("Set the model's dropout rates to 0.")
    )
    row_layout: str = field(
        default="shared",
        metadata=about(
            "shared: a prompt once, its responses as branches, rows packed; padded: a row a response."
        ),
    )
    precompute_ref_log_probs: bool = field(
        default=True,
        metadata=about(
            "true: before training, once; false: at each step, from a frozen second copy."
        ),
    )
    reference_cache: str | None = field(
        default=None,
        metadata=about(
            "Folder that keeps the reference's log-probabilities, or none (default: HF_HOME)."
        ),
    )
    trust_remote_code: bool = field(
        default=False, metadata=about("Run code that the model's folder brings along.")
    )
    attn_implementation: str | None = field(
        default=None, metadata=about("Passed to from_pretrained, e.g. sdpa.")
    )
    save_final_model: bool = field(
        default=True, metadata=about("Save the trained model and tokenizer in output_dir.")
    )

    def checks(self) -> Iterator[Check]:
        """Yield the conditions on these fields; a model's name has a message of its own."""
        check_model_name(self.model)
        yield "row_layout", self.row_layout in LAYOUTS, f"one of {', '.join(LAYOUTS)}"
        yield "weights", self.weights in WEIGHTS, f"one of {', '.join(WEIGHTS)}"
        yield "rounding", self.rounding in ROUNDINGS, f"one of {', '.join(ROUNDINGS)}"
        yield (
            "rounding",
            self.weights == "bf16" or self.rounding == "nearest",
            "nearest with fp32 weights",
        )
        yield "lora_rank", self.lora_rank >= 0, "an integer ≥ 0"
        yield (
            "lora_rank",
            self.lora_rank == 0 or self.model != BUILTIN,
            f"0 with the model {BUILTIN}",
        )
        yield (
            "lora_alpha",
            self.lora_alpha is None or 0 < self.lora_alpha < float("inf"),
            "a finite number > 0",
        )
