"""Fields of a training run, by the headings of --help. Each row is a flag with its default, its help and its rule.

Where a field is transformers' own, the row gives it our default and plain help.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .flags import (
    COUNT,
    COUNT_OR_NONE,
    JSON_OBJECT,
    POSITIVE,
    SHARE,
    Rule,
    check_fields,
    flag,
    require,
)
from .names import BUILTIN, bounds, check_model_name, generated, losses

NOT_NEGATIVE = Rule("a finite number ≥ 0", lambda value: 0 <= value < math.inf)
TRUNCATIONS = ("right", "left_prompt", "drop", "refuse")
DIVERGENCES = ("reverse_kl", "forward_kl", "js_divergence", "chi_squared", "log_squared")
Mix = float | str
SEED = Rule("an integer from 0 to 2^32 - 1", lambda value: 0 <= value < 2**32)
BELOW_ONE = Rule("a number in [0, 1)", lambda value: 0 <= value < 1)
RANGES = {  # of fields of transformers without a row here, whose library names no argument
    "adam_beta1": BELOW_ONE,
    "adam_beta2": BELOW_ONE,
    "adam_epsilon": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "neftune_noise_alpha": NOT_NEGATIVE,
    "torch_empty_cache_steps": COUNT,
    "dataloader_num_workers": COUNT_OR_NONE,
    "dataloader_prefetch_factor": COUNT,
    "data_seed": Rule("an integer from -2^63 to 2^63 - 1", lambda value: -(2**63) <= value < 2**63),
}


@dataclass
class DataFields:
    """Data: where preferences come from and how they become tokens."""

    train_data: str | None = flag(
        None,
        "Preferences to train on: a .jsonl or .parquet file, a folder of such files, or the name "
        "of a data set on the Hugging Face hub.",
        shown="the shipped pairs",
    )
    eval_data: str | None = flag(
        None,
        "Preferences to evaluate on, after the last step and as often as eval_strategy says.",
    )
    dataset_config: str | None = flag(None, "Configuration of a data set on the hub.")
    dataset_train_split: str = flag("train", "Split of the hub's data set to train on.")
    dataset_test_split: str = flag("test", "Split of the hub's data set to evaluate on.")
    max_length: int = flag(
        1024,
        "Maximum number of tokens in a prompt and one response.",
        rule=Rule("an integer ≥ 2", lambda value: value >= 2),
    )
    truncation: str = flag(
        "right",
        "What to do with a longer example. right: cut the end of the responses. left_prompt: cut "
        "the beginning of the prompt. drop: leave the example out. refuse: stop the run.",
        choices=TRUNCATIONS,
    )
    max_negatives: int | None = flag(
        None,
        "Maximum number of rejected responses for each prompt. The first ones are kept.",
        rule=COUNT,
        shown="all of them",
    )
    chat: bool = flag(False, "Also apply the tokenizer's chat template to plain strings.")
    chat_template: str | None = flag(
        None,
        "Chat template: a file, one of the tokenizer's by name, or 'chatml'.",
        shown="the tokenizer's",
    )
    chat_template_kwargs: str | None = flag(
        None,
        "Arguments of the chat template as JSON, for example '{\"enable_thinking\": false}'.",
        rule=JSON_OBJECT,
    )
    max_dropped: float = flag(
        0.05,
        "Maximum share of unusable rows. The run stops if there are more. Dropped rows are listed "
        "in dropped.jsonl.",
        rule=SHARE,
    )
    tokenize_workers: int = flag(1, "Number of processes that tokenise.", rule=COUNT)
    token_cache: str | None = flag(
        None,
        "Folder that keeps the tokens between runs, or 'none'.",
        shown="in the Hugging Face cache",
    )


@dataclass
class LossFields:
    """Loss: what is minimised."""

    bound: str = flag(
        "js",
        f"Bound that defines the loss: {', '.join(bounds())}. dv gives DPO, js gives MIO.",
    )
    mix: Mix = flag(  # noqa: RUF009  # a field, as the others, whose types ruff knows
        0.5,
        "Share of the rejected responses in the mixed product law, above 0 and at most 1. The "
        "chosen response has the remaining share. auto: K/(K + 1) of each example with K rejected "
        "responses.",
        rule=Rule("a number in (0, 1] or auto", lambda mix: mix == "auto" or 0 < mix <= 1),
    )
    beta: float = flag(
        0.1,
        "Inverse temperature. A response has the score beta * ln(policy / reference).",
        rule=POSITIVE,
    )
    loss: str | None = flag(
        None,
        f"Baseline loss to use in place of bound and mix: {', '.join(losses())}; or a sum of such "
        "losses and bounds, for example '0.8*dv + 0.2*js@1' (js with mix 1).",
    )
    log_ratio: str = flag(
        "sum",
        "sum: add the log-ratios of a response's tokens. mean: average them.",
        choices=("sum", "mean"),
    )
    label_smoothing: float = flag(
        0.0,
        "Probability that a label is wrong, from 0 to below 0.5.",
        rule=Rule("a number in [0, 0.5)", lambda value: 0 <= value < 0.5),
    )
    robust: bool = flag(
        False,
        "Correct the loss for labels that are wrong with probability label_smoothing, in place of "
        "smoothing them (robust DPO).",
    )
    f_divergence: str = flag(
        "reverse_kl",
        "Divergence from the reference, which turns ln(policy / reference) into a score (f-DPO). "
        "chi_squared with bound dv is χPO, log_squared is SquaredPO.",
        choices=DIVERGENCES,
    )
    reference_free: bool = flag(
        False,
        "Score a response by beta * ln(policy) alone. With bound dv, log_ratio mean and a "
        "target_margin it is SimPO.",
    )
    target_margin: float = flag(
        0.0,
        "Margin that the chosen score must have over a rejected one, in nats.",
        rule=NOT_NEGATIVE,
    )
    clip_margin: float | None = flag(
        None,
        "Largest difference of two scores that counts, in nats: beyond it a pair has no gradient. "
        "χPO's 2 R_max, R_max the largest reward. Only with bound dv or infonce.",
        rule=POSITIVE,
    )
    negatives: str = flag(
        "own",
        "own: compare a chosen response with the rejected ones of its prompt. batch: compare it "
        "with all rejected responses of the batch, on all devices.",
        choices=("own", "batch"),
    )


@dataclass
class ModelFields:
    """Model: where it comes from, and which of its weights are trained."""

    model: str = flag(
        BUILTIN,
        "Model to train: 'builtin' (small, random weights), a folder, a .gguf file, or a name on "
        "the Hugging Face hub.",
    )
    lora_rank: int = flag(
        0, "Rank of the LoRA adapters. 0 trains all weights instead.", rule=COUNT_OR_NONE
    )
    lora_alpha: float | None = flag(
        None, "Scale of the LoRA adapters.", rule=POSITIVE, shown="twice the rank"
    )
    lora_targets: str = flag(
        "all-linear",
        "Layers that get an adapter: names, separated by commas; all-linear; or default, peft's own "
        "choice for the model.",
    )
    disable_dropout: bool = flag(True, "Turn dropout off.")
    attn_implementation: str | None = flag(
        None, "Attention implementation of transformers, for example sdpa.", shown="the model's"
    )
    trust_remote_code: bool = flag(False, "Run Python code that comes with the model.")


RECIPES: dict[str, dict[str, Any]] = {  # of --memory: values of other flags, which a flag overrides
    "exact": {},
    "balanced": {
        "release_gradients": True,
        "max_grad_norm": 0.0,
        "selective_checkpointing": True,
    },
    "lean": {
        "weights": "bf16",
        "bf16": False,  # arithmetic follows the weights
        "rounding": "stochastic",
        "adam_beta2": 0.99,
        "release_gradients": True,
        "max_grad_norm": 0.0,
        "gradient_checkpointing": True,
    },
}


@dataclass
class MemoryFields:
    """Memory and precision: what fits on a device."""

    memory: str = flag(
        "exact",
        "Recipe for the flags below. exact: float32 throughout. balanced: the same arithmetic, and "
        "gradients freed as they are used and cheap activations computed again. lean: also bf16 "
        "weights and states, rounded at random, and all activations computed again. Other flags "
        "override it. docs/guides/scale.md",
        choices=tuple(RECIPES),
    )
    bf16: bool = flag(False, "Compute in bfloat16. The weights keep their precision.")
    weights: str = flag("fp32", "Precision of the weights.", choices=("fp32", "bf16"))
    rounding: str = flag(
        "nearest",
        "How a step is rounded to bf16 weights. nearest: small steps are lost. kahan: rounding "
        "errors are kept and added later. stochastic: up or down at random.",
        choices=("nearest", "kahan", "stochastic"),
    )
    adam_states: str = flag(
        "weights",
        "Precision of Adam's two moments. weights: that of the weights. 8bit: blocks of 8-bit "
        "numbers (package torchao).",
        choices=("weights", "8bit"),
    )
    release_gradients: bool = flag(
        False,
        "Step each weight in the backward pass and free its gradient: no clipping, one process, "
        "and one pass a step.",
    )
    gradient_checkpointing: bool | None = flag(
        None, "Recompute activations in the backward pass: less memory, more time."
    )
    selective_checkpointing: bool = flag(
        False,
        "Recompute activations except matrix products and attention in the backward pass: about half "
        "the memory of a pass, a little more time.",
    )
    row_layout: str = flag(
        "shared",
        "shared: one row for a prompt and all its responses. padded: one row for each response. "
        "Both give the same loss.",
        choices=("shared", "padded"),
    )
    max_tokens_per_batch: int | None = flag(
        None,
        "Maximum number of tokens in one pass through the model, on each device. A batch that has "
        "more takes several passes. The step, the mean over its examples, stays the same.",
        rule=COUNT,
        shown="no limit",
    )
    precompute_ref_log_probs: bool = flag(
        True,
        "true: compute the reference's log-probabilities once, before training. false: keep a "
        "frozen copy of the model and compute them at each step.",
    )
    reference_cache: str | None = flag(
        None,
        "Folder that keeps the reference's log-probabilities between runs, or 'none'.",
        shown="in the Hugging Face cache",
    )
    per_device_eval_batch_size: int = flag(
        8,
        "Number of examples in a batch on each device, for evaluation and for the reference.",
        rule=COUNT,
    )


@dataclass
class StepFields:
    """Training: the steps of the optimiser, and what they leave on the disk."""

    output_dir: str | None = flag(None, "Folder of the run.", shown="runs/MODEL-LOSS")
    resume_from_checkpoint: str | None = flag(
        None, "Checkpoint to continue from: its folder, or 'true' for the last one in output_dir."
    )
    max_steps: int = flag(
        -1,
        "Number of optimiser steps; -1 leaves it to num_train_epochs.",
        rule=Rule("-1 or an integer ≥ 1", lambda value: value == -1 or value >= 1),
    )
    num_train_epochs: float = flag(
        1.0, "Number of epochs; ignored when max_steps is set.", rule=POSITIVE
    )
    learning_rate: float = flag(1e-6, "Peak learning rate (AdamW).", rule=NOT_NEGATIVE)
    lr_scheduler_type: str = flag(
        "cosine",
        "How the learning rate changes after the warm-up, for example linear or constant.",
        choices=generated()["fields"]["lr_scheduler_type"]["choices"],
    )
    warmup_steps: float = flag(
        0.1,
        "Number of warm-up steps; a value below 1 is a share of all steps.",
        rule=NOT_NEGATIVE,
    )
    per_device_train_batch_size: int = flag(
        8, "Number of examples in a training batch on each device.", rule=COUNT
    )
    gradient_accumulation_steps: int = flag(
        1, "Number of batches in one optimiser step.", rule=COUNT
    )
    seed: int = flag(42, "Seed of the data order and of the built-in model's weights.", rule=SEED)
    use_cpu: bool = flag(False, "Train on the CPU even if there is a GPU.")
    save_strategy: str = flag(
        "steps", "When to save a checkpoint.", choices=("no", "steps", "epoch", "best")
    )
    save_steps: float = flag(
        500, "Steps between two checkpoints; a value below 1 is a share of all steps."
    )
    save_final_model: bool = flag(True, "Save the trained model in output_dir.")


@dataclass
class LoggingFields:
    """Logging and evaluation: what a run measures and prints."""

    logging_steps: float = flag(
        10, "Steps between two log lines; a value below 1 is a share of all steps.", rule=POSITIVE
    )
    logging_first_step: bool = flag(True, "Also log the first step.")
    diagnostics_steps: int = flag(
        10,
        "Steps between two measurements of the gradient's noise. 0 turns them off.",
        rule=COUNT_OR_NONE,
    )
    eval_strategy: str = flag(
        "no", "When to evaluate during training.", choices=("no", "steps", "epoch")
    )
    eval_steps: float | None = flag(
        None, "Steps between two evaluations, if eval_strategy is 'steps'.", shown="logging_steps"
    )
    completions: int = flag(
        3,
        "Number of prompts that the model completes before and after training, for the report. 0 "
        "turns them off.",
        rule=COUNT_OR_NONE,
    )
    report_to: str = flag("none", "Trackers, for example tensorboard or wandb; or 'all' or 'none'.")
    disable_tqdm: bool | None = flag(None, "Hide progress bars.")


@dataclass
class RunFields(LoggingFields, StepFields, MemoryFields, ModelFields, LossFields, DataFields):
    """All fields of a run that have a row here."""

    def check(self) -> None:
        """Check the fields, touching no device and no network.

        Raises:
            ValueError: a value outside its range, named with what was expected.
        """
        check_fields(self, RunFields)
        check_model_name(self.model)
        require(
            self,
            ("train_data", self.train_data != "", "a file, a folder or a hub name"),
            (
                "rounding",
                self.weights == "bf16" or self.rounding == "nearest",
                "nearest with fp32 weights",
            ),
            (
                "adam_states",
                self.adam_states == "weights" or self.rounding != "kahan",
                "weights with rounding kahan",
            ),
            (
                "gradient_accumulation_steps",
                not self.release_gradients or self.gradient_accumulation_steps == 1,
                "1 with release_gradients",
            ),
            (
                "max_tokens_per_batch",
                not self.release_gradients or not self.max_tokens_per_batch,
                "none with release_gradients, which takes a step in one pass",
            ),
            ("bf16", self.weights == "fp32" or not self.bf16, "false with bf16 weights"),
            (
                "lora_rank",
                self.lora_rank == 0 or self.model != BUILTIN,
                f"0 with the model {BUILTIN}",
            ),
            (
                "negatives",
                self.loss is None or self.negatives == "own",
                f"own with loss {self.loss}",
            ),
            (
                "mix",
                self.mix != "auto" or self.negatives == "own",
                "a number with negatives batch",
            ),
            (
                "max_tokens_per_batch",
                not self.max_tokens_per_batch or self.negatives == "own",
                "none with negatives batch, which are those of one pass",
            ),
            (
                "robust",
                not self.robust or self.label_smoothing > 0,
                "false, or label_smoothing above 0, the probability of a wrong label",
            ),
            (
                "reference_free",
                not self.reference_free
                or (self.bound == "dv" and not self.loss and self.f_divergence == "reverse_kl"),
                "false without bound dv: other losses need a reference",
            ),
            (
                "target_margin",
                not self.target_margin or (self.bound == "dv" and not self.loss),
                "0 without bound dv",
            ),
            (
                "clip_margin",
                self.clip_margin is None
                or (self.bound in ("dv", "infonce") and not self.loss and self.negatives == "own"),
                "none without bound dv or infonce and a prompt's own negatives",
            ),
            (
                "eval_data",
                bool(self.eval_data) or self.eval_strategy == "no",
                f"a file with eval_strategy {self.eval_strategy}",
            ),
        )
