"""`transformers.Trainer` with a preference loss of `mi_estimators`: T = β ln π/π_ref, π_ref precomputed once."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch import Tensor

from ..data.collate import LAYOUTS, collate, split_rows, sum_responses
from ..data.tokens import TokenizedExample
from ..loss.alerts import EXAMPLES, alerts
from ..loss.gradient_noise import HeadGradients
from ..loss.logprobs import choose_log_probs
from ..loss.metrics import last_windows, window_metrics, window_sums
from ..models import CausalLM
from . import precision
from .arguments import PreferenceArguments
from .checkpoints import ResumableTrainer
from .layouts import choose_collate
from .reference import Reference, sharded, with_reference
from .runlog import append_json_line, say

START_NOISE = {
    True: 1e-3,
    False: 0.1,
}  # nats a √token, in float32 and below; benchmarks.llm.start_noise measures it


class RunFailed(RuntimeError):
    """A run that must not go on; its message says what was expected and what to look at."""


class PreferenceTrainer(ResumableTrainer):
    """Train all weights of a causal LM on preference examples; docs/guides/metrics.md defines what is logged.

    The reference is the model as given, by `reference.Reference`. The first loss must be the loss at zero scores; the
    first step checks it.
    """

    args: PreferenceArguments

    def __init__(
        self,
        model: CausalLM,
        args: PreferenceArguments,
        train_dataset: Sequence[TokenizedExample],
        eval_dataset: Sequence[TokenizedExample] | None,
        processing_class,
    ) -> None:
        pad_id = processing_class.pad_token_id
        super().__init__(
            model=model,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            data_collator=partial(collate, pad_id=0 if pad_id is None else pad_id),
            processing_class=processing_class,
            optimizer_cls_and_kwargs=precision.optimizer(args),
        )
        self.label_names = [
            "targets"
        ]  # present in every batch, so evaluation goes through compute_loss
        self.model_accepts_loss_kwargs = (
            False  # a batch's mean is returned: Trainer divides it by the accumulation
        )
        self.objective = args.objective()
        self._checked = False
        self._metrics = self.output / "metrics.jsonl"
        self._head_gradients = HeadGradients()
        self._alerts: dict[str, str] = {}  # those of the last training log
        self._recent: list[
            dict[str, float]
        ] = []  # the sums of the last training logs that alerts look at
        self._sums: dict[str, dict[str, Tensor]] = {
            "": {},
            "eval_": {},
        }  # since the last log, over examples
        self._updates = precision.SurvivingUpdates()
        self.add_callback(self._updates)
        self.reference = Reference(model, args, self.accelerator)
        self.model = self.model_wrapped = sharded(model, self.accelerator)
        self.log_probs = choose_log_probs(
            self.model, self._prepare_inputs(self.data_collator(train_dataset[:1]))
        )
        chosen = choose_collate(
            args.row_layout, model.config, train_dataset, self._initial_log_probs
        )
        self.row_layout = next(name for name, collated in LAYOUTS.items() if collated is chosen)
        self.data_collator = partial(chosen, **self.data_collator.keywords)
        if args.precompute_ref_log_probs:
            known = partial(
                with_reference,
                log_probs=self._reference_batch,
                args=args,
                cache=self.reference.cache,
            )
            self.train_dataset = known(train_dataset)
            self.eval_dataset = known(eval_dataset) if eval_dataset else None

    def _prepare_input(self, data):
        """Move a batch to the device as it is: under DeepSpeed transformers would round log-probabilities to bf16."""
        return send_to_device(data, self.args.device)

    def _initial_log_probs(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the token log-probabilities of a batch, (S,), as the reference reads them."""
        each = {**batch, "lengths": torch.ones_like(batch["targets"])}
        return self.reference.log_probs(self.model, self._prepare_inputs(each), self.log_probs)

    def _reference_batch(self, examples: Sequence[TokenizedExample]) -> tuple[Tensor, Tensor]:
        batch = self._prepare_inputs(self.data_collator(examples))
        return split_rows(
            self.reference.log_probs(self.model, batch, self.log_probs), batch["negatives"]
        )

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Return the batch's mean preference loss and add its metrics to the running sums."""
        negatives = inputs["negatives"]
        reading = model.training and self._reads_gradients()
        live = "reference" not in inputs
        reference = (
            self.reference.log_probs(model, inputs, self.log_probs) if live else inputs["reference"]
        )
        with (
            self._head_gradients.watching(model, self.state.global_step)
            if reading
            else nullcontext()
        ):
            log_probs = sum_responses(self.log_probs(model, inputs), inputs["lengths"])
        log_ratios = log_probs - reference
        if self.objective.log_ratio == "mean":
            log_ratios = log_ratios / inputs["lengths"]
        if not log_ratios.isfinite().all():
            raise RunFailed(
                f"step {self.state.global_step + 1}: expected finite log-probabilities, got NaN or infinity. Likely "
                "causes: the learning rate is too high, or float16 overflows (use --bf16 true)"
            )
        log_ratios = split_rows(log_ratios, negatives)
        loss = self.objective.losses(*log_ratios, negatives).mean()
        if reading:
            self._head_gradients.catch(loss, inputs)
        if model.training and not self._checked:
            self._checked = True
            if self.state.global_step == 0:  # a resumed run starts away from its reference
                self._check_start(model, inputs, log_probs.detach(), reference)
        sums = self._sums["" if model.training else "eval_"]
        for name, values in window_sums(self.objective, log_probs, log_ratios, inputs).items():
            sums[name] = sums.get(name, 0) + values
        return (loss, {}) if return_outputs else loss

    def _reads_gradients(self) -> bool:
        every, step = self.args.diagnostics_steps, self.state.global_step
        return every > 0 and (step == 0 or (step + 1) % every == 0)

    def _check_start(self, model, inputs, log_probs: Tensor, reference: Tensor) -> None:
        """Compare the first loss, its reference read from the very same rows, with theory, and those readings, too.

        In bf16 a log-probability depends a little on the rows beside it, which is noise and no error; the first
        comparison is free of it.
        """
        exact = (
            not (self.args.bf16 or self.args.fp16 or self.args.tf32)
            and self.model.dtype == torch.float32
        )
        same_rows = self.reference.log_probs(model, inputs, self.log_probs)
        scale = inputs["lengths"] if self.objective.log_ratio == "mean" else 1
        negatives = inputs["negatives"]
        measured = self.objective.losses(
            *split_rows((log_probs - same_rows) / scale, negatives), negatives
        )
        loss, theory = measured.mean().item(), self.objective.start(negatives).mean().item()
        tolerance = max(1.0, self.args.beta) * (1e-4 if exact else 1e-3)
        if not abs(loss - theory) <= tolerance:
            raise RunFailed(
                f"start-up check: expected the first loss to be {theory:.6f} ± {tolerance:g} (policy = reference), "
                f"got {loss:.6f}. Likely causes: dropout or another random layer is active; the weights changed before "
                "the first step; adapters that do not start at zero."
            )
        noise = ((same_rows - reference).square() / inputs["lengths"]).mean().sqrt().item()
        limit = START_NOISE[exact]
        if not noise <= limit:
            raise RunFailed(
                f"start-up check: expected the reference's log-probabilities to be the first batch's within {limit:g} "
                f"nats a √token (root mean square), got {noise:.3g}. Likely causes: the reference ran in "
                "another precision; the model's output depends on padding or on the batch's other rows."
            )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means since the last log, over all examples and processes, and append a line to metrics.jsonl."""
        prefix = "eval_" if "eval_loss" in logs else ""
        sums = self._sums[prefix]
        measured = bool(sums) and f"{prefix}loss" in logs
        if measured:
            totals = self.accelerator.reduce(torch.stack(list(sums.values())), "sum")
            assert isinstance(totals, Tensor)  # as a tensor went in
            window = dict(zip(sums, totals.tolist(), strict=True))
            means = window_metrics(self.objective, window)
            if not prefix:
                self._recent = last_windows([*self._recent, window], EXAMPLES)
                means |= self._head_gradients.statistics(self.accelerator.gather)
                means |= self._updates.statistics(self.accelerator.gather)
            logs.update({prefix + name: value for name, value in means.items()})
            sums.clear()
        super().log(logs, start_time)
        if measured and self.is_world_process_zero():
            line = self.state.log_history[-1]
            found = {} if prefix else self._find_alerts()
            append_json_line(self._metrics, line | ({"alerts": found} if found else {}))
            if not prefix:
                self._say_new(found)

    def window(self):
        """Return what a checkpoint keeps: the sums since the last log, what its alerts saw, metrics.jsonl's length."""
        tensors = {
            f"{prefix}sums.{name}": value
            for prefix, sums in self._sums.items()
            for name, value in sums.items()
        }
        values: dict[str, Any] = {
            "sums": {prefix: list(sums) for prefix, sums in self._sums.items()}
        }
        values |= {"alerts": self._alerts, "recent": self._recent}
        if self.is_world_process_zero():
            values["metrics"] = self._metrics.stat().st_size if self._metrics.exists() else 0
        return tensors | self._head_gradients.state() | self._updates.state(), values

    def set_window(self, tensors, values) -> None:
        """Take over what `window` returned; drop the lines of metrics.jsonl that were written after it."""
        self._sums = {
            prefix: {name: tensors[f"{prefix}sums.{name}"] for name in names}
            for prefix, names in values["sums"].items()
        }
        self._head_gradients.set_state(tensors)
        self._updates.set_state(tensors)
        self._alerts, self._recent = values["alerts"], values["recent"]
        if self._metrics.exists() and self._metrics.stat().st_size > values.get(
            "metrics", math.inf
        ):
            os.truncate(self._metrics, values["metrics"])

    def _find_alerts(self) -> dict[str, str]:
        if sum(window["examples"] for window in self._recent) < EXAMPLES:
            return {}
        return alerts(self.objective, window_metrics(self.objective, *self._recent))

    def _say_new(self, found: dict[str, str]) -> None:
        """Print the alerts that the last training log did not have."""
        for kind in [kind for kind in found if kind not in self._alerts]:
            say(f"        alert, {kind}: {found[kind]}")
        self._alerts = found
