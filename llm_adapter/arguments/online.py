"""Fields of `python -m llm_adapter.online`: rounds of sampling, verifying and training."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import NOT_NEGATIVE, LossFields, Mix
from .flags import COUNT, COUNT_OR_NONE, POSITIVE, SHARE, flag, flag_of, require
from .names import bounds
from .rollouts import RolloutArguments

SPLITS = ("held_out", "train")
OBJECTIVES = ("preference", "policy_gradient", "policy_gradient_normalised")


@dataclass(frozen=True, kw_only=True)
class OnlineArguments(RolloutArguments):
    """Rounds: what is sampled and trained in each, and when they end."""

    rounds: int = flag(50, "Maximum number of rounds.", rule=COUNT)
    prompts: int = flag(16, "Number of questions in a round.", rule=COUNT)
    samples: int = flag(
        2,
        "Number of responses to each question: the group.",
        rule=COUNT,
    )
    temperature: float = flag_of(RolloutArguments, "temperature", 1.0)
    objective: str = flag(
        "preference",
        "preference: the loss of bound and mix, of each right response of a group against the wrong "
        "ones. policy_gradient: the group-relative one. policy_gradient_normalised: the same over "
        "the group's standard deviation.",
        choices=OBJECTIVES,
    )
    bound: str = flag_of(LossFields, "bound")
    mix: Mix = flag_of(LossFields, "mix", "auto")  # noqa: RUF009  # as in `fields`
    beta: float = flag_of(LossFields, "beta")
    loss: str | None = flag_of(LossFields, "loss")
    sampler: str = flag(
        "policy",
        "Who samples the responses that are trained on. policy: the model as it is, anew in each "
        "round. base: the model as given, once for each question.",
        choices=("policy", "base"),
    )
    positives: str = flag(
        "own",
        "own: the right responses of the group. supplied: the task's answer, alone and in every group.",
        choices=("own", "supplied"),
    )
    reference: str = flag(
        "base",
        "base: the model as given. round: the policy that sampled the round.",
        choices=("base", "round"),
    )
    optimizer: str = flag(
        "adamw",
        "adamw; or sgd, the plain gradient steps that the theorems describe.",
        choices=("adamw", "sgd"),
    )
    learning_rate: float = flag(1e-5, "Learning rate, constant.", rule=NOT_NEGATIVE)
    max_grad_norm: float = flag(1.0, "Largest norm of a gradient.", rule=POSITIVE)
    updates: int = flag(1, "Optimiser steps on the responses of a round.", rule=COUNT)
    micro_batch: int = flag(4, "Number of groups in a pass through the model.", rule=COUNT)
    stop_at: float | None = flag(
        None,
        "Stop when the mean success of the last 64 sampled questions reaches this.",
        rule=SHARE,
        shown="never",
    )
    save_rounds: int = flag(
        10, "Rounds between two checkpoints, from which a stopped run goes on.", rule=COUNT
    )
    save_model: bool = flag(False, "Save the trained model in the folder OUT.model.")
    eval_count: int = flag(
        32,
        "Maximum number of held-out questions, before and after. 0 asks none.",
        rule=COUNT_OR_NONE,
    )
    eval_split: str = flag("held_out", "Questions asked before and after.", choices=SPLITS)
    eval_samples: int = flag(16, "Number of responses to each held-out question.", rule=COUNT)

    def check(self) -> None:
        """Raise the ValueError of the first field outside its range."""
        super().check()
        gradient = self.objective != "preference"
        require(
            self,
            ("out", self.out.endswith(".json"), "a file.json to write"),
            ("bound", self.bound in bounds(), f"one of {', '.join(bounds())}"),
            ("samples", self.samples >= 2, "at least 2 responses, which can differ"),
            ("loss", not (gradient and self.loss), f"none with objective {self.objective}"),
            (
                "positives",
                not (gradient and self.positives == "supplied"),
                f"own with objective {self.objective}, which has no gradient elsewhere",
            ),
            (
                "sampler",
                self.sampler == "policy" or (not gradient and self.reference == "base"),
                "policy without a preference loss and reference base",
            ),
            (
                "updates",
                self.updates == 1 or (not gradient and self.reference == "base"),
                "1 without a preference loss and reference base",
            ),
            (
                "mix",
                self.bound != "infonce" or self.mix == "auto",
                "auto with bound infonce, whose mix is always K/(K + 1)",
            ),
        )
