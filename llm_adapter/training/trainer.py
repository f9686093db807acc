"""Train with `transformers.Trainer` and a preference loss of `mi_estimators`: T = β ln π/π_ref."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch import Tensor

from mi_estimators.display import jsonl

from ..arguments.command import complain
from ..data.collate import collate, with_mismatched
from ..data.corpus import Corpus
from ..data.tokens import TokenizedExample
from ..loss.alerts import EXAMPLES, alerts, evaluation_alerts
from ..loss.gradient_noise import HeadGradients
from ..loss.logprobs import choose_log_probs, split_rows, sum_responses
from ..loss.metrics import last_windows, window_metrics, window_sums
from ..loss.objective import Objective, of_all_processes
from ..models import CausalLM
from . import heap, precision
from .arguments import PreferenceArguments
from .bounded import BoundedTrainer
from .layouts import beginning, choose_layout, ways_for
from .recompute import logits_kept, save_activations
from .reference import Reference, with_reference
from .runlog import say
from .sharding import reshard, sharded

# nats per √token in float32 (True) and in lower precision; benchmarks.llm.start_noise measures it
START_NOISE = {True: 1e-3, False: 0.1}


class RunFailed(RuntimeError):
    """A run that must not continue; the message says what was expected and names likely causes."""


class PreferenceTrainer(BoundedTrainer):
    """Train a causal LM on preference examples; docs/guides/metrics.md defines what is logged.

    The reference is the model as given (`reference.Reference`). The first step checks that its loss is the loss at
    zero scores.
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
        train = Corpus.of(train_dataset)
        held_out = Corpus.of(eval_dataset) if eval_dataset else None
        pad_id = processing_class.pad_token_id
        super().__init__(
            model=model,
            args=args,
            train_dataset=train,
            eval_dataset=held_out,
            data_collator=partial(collate, pad_id=0 if pad_id is None else pad_id),
            processing_class=processing_class,
            optimizer_cls_and_kwargs=precision.optimizer(args),
        )

        shared = self.is_fsdp_enabled or self.is_deepspeed_enabled
        self.thrift = save_activations(model, args, shared)
        self.heap = heap.Heap(model, args.release_gradients)

        self.label_names = ["targets"]  # in every batch, so evaluation goes through compute_loss
        self.model_accepts_loss_kwargs = False  # they are ours
        self.loss_is_scaled_for_ga = True  # `compute_loss` weights a batch by its examples
        self.objective = args.objective()
        self._checked = False
        self._metrics = self.output / "metrics.jsonl"
        self._alerts: dict[str, str] = {}  # of the last training log
        self._said: dict[str, str] = {}  # alerts of the last evaluation
        self._recent: list[dict[str, float]] = []  # sums of the last training logs, for alerts
        self._sums: dict[str, dict[str, Tensor]] = {"": {}, "eval_": {}}  # since the last log
        self._head_gradients = HeadGradients()
        self._updates = precision.SurvivingUpdates()
        self.add_callback(self._updates)

        if args.torch_compile and args.diagnostics_steps and args.process_index == 0:
            say("diagnostics_steps: gradient_noise/… is not read from a compiled model")
        self.reference = Reference(model, args, self.accelerator)
        self.model = self.model_wrapped = sharded(model, self.accelerator)
        probe = self._prepare_inputs(self.data_collator([beginning(train[0])]))
        self.log_probs = choose_log_probs(self.model, probe, logits_kept(args))
        self.layout = choose_layout(
            args.row_layout,
            [network.config for network in (model, self.reference.frozen) if network is not None],
            train,
            self._initial_log_probs,
            ways_for(args.device.type, args.attn_implementation, args.torch_compile),
        )

        self.row_layout = self.layout.name
        layout = partial(self.layout.collate, **self.data_collator.keywords)
        self.bound_passes(partial(with_mismatched, layout), self.row_layout, (train, held_out))
        if self.objective.estimates_kl:
            self.train_dataset = train.with_mismatched(args.max_length)
            self.eval_dataset = held_out and held_out.with_mismatched(args.max_length)

        if args.precompute_ref_log_probs and not args.reference_free:
            options = (self._reference_batch, args, self.reference.cache, self.row_layout)
            self.train_dataset = with_reference(self.train_dataset, *options)
            if self.eval_dataset:
                self.eval_dataset = with_reference(self.eval_dataset, *options)

    def create_optimizer(self, *args, **kwargs):
        """Return Trainer's optimiser, of the weights that this process holds."""
        reshard(self.model)  # which the reference's passes left whole in part
        return super().create_optimizer(*args, **kwargs)

    def _prepare_input(self, data):
        """Move a batch to the device and keep its precision, which transformers would lower under DeepSpeed."""
        return send_to_device(data, self.args.device)

    def _initial_log_probs(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the token log-probabilities of a batch under the reference, (S,), in nats."""
        tokens = {**batch, "lengths": torch.ones_like(batch["targets"])}
        return self.reference.log_probs(self.model, self._prepare_inputs(tokens), self.log_probs)

    def _reference_batch(self, examples: Sequence[TokenizedExample]) -> tuple[Tensor, Tensor]:
        batch = self._prepare_inputs(self.collate_rows(examples))
        log_probs = self.reference.log_probs(self.model, batch, self.log_probs)
        return split_rows(log_probs, batch["negatives"])

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Return the batch's mean preference loss and add its metrics to the running sums."""
        if "examples" in inputs:  # of an evaluation; training makes passes of them
            return self.loss_in_passes(model, inputs["examples"], return_outputs)

        negatives, lengths, step = inputs["negatives"], inputs["lengths"], self.state.global_step
        reference = inputs.get("reference")
        if reference is None and not self.objective.reference_free:
            reference = self.reference.log_probs(model, inputs, self.log_probs)

        long = model.training and self.heap.begin(inputs["input_ids"], model)
        reading = model.training and self._reads_gradients()
        watched = self._head_gradients.watching(model, step) if reading else nullcontext()
        with watched, self.thrift.applied(long):
            log_probs = sum_responses(self.log_probs(model, inputs), lengths)

        log_ratios = self.objective.log_ratios(log_probs, reference, lengths)
        if not log_ratios.isfinite().all():
            raise RunFailed(
                f"step {step + 1}: expected finite log-probabilities, got NaN or infinity. Likely "
                "causes: the learning rate is too high, or float16 overflows (use --bf16 true)"
            )

        log_ratios = split_rows(log_ratios, negatives)
        objective = self._with_reference_point(model, inputs)
        loss = objective.losses(*log_ratios, negatives).mean()
        if reading:
            self._head_gradients.catch(loss, inputs)

        if model.training and not self._checked:
            self._checked = True
            # a resumed run starts away from its reference
            if step == 0 and reference is not None:
                self._check_start(model, inputs, log_probs.detach(), reference)

        self._add_to_window(objective, log_probs, log_ratios, inputs, model.training)
        if model.training and num_items_in_batch is not None:
            loss = loss * (len(negatives) * self.args.world_size / num_items_in_batch)
        if model.training:
            self.heap.turn(step == 0)

        return (loss, {}) if return_outputs else loss

    @torch.no_grad()
    def _with_reference_point(self, model, inputs) -> Objective:
        """Return the objective, with KTO's reference point of this batch, of all processes."""
        other = inputs.get("mismatched")
        if other is None:
            return self.objective

        reference = other.get("reference")
        if reference is None:
            reference = self.reference.log_probs(model, other, self.log_probs)

        log_probs = sum_responses(self.log_probs(model, other), other["lengths"])
        log_ratios = self.objective.log_ratios(log_probs, reference, other["lengths"])

        return replace(self.objective, reference_point=of_all_processes(log_ratios).mean().item())

    def _add_to_window(self, objective, log_probs, log_ratios, inputs, training: bool) -> None:
        """Add a batch to the sums since the last log; an evaluation counts each example once."""
        counted = inputs.get("counted")
        if counted is None and not training:
            counted = self.first_seen(len(inputs["negatives"]))

        sums = self._sums["" if training else "eval_"]
        values = window_sums(objective, log_probs, log_ratios, inputs, counted)
        for name, total in values.items():
            sums[name] = sums.get(name, 0) + total

    def _reads_gradients(self) -> bool:
        every, step = self.args.diagnostics_steps, self.state.global_step
        if self.args.torch_compile:  # the compiled backward pass does not show them
            return False
        return every > 0 and (step == 0 or (step + 1) % every == 0)

    def _check_start(self, model, inputs, log_probs: Tensor, reference: Tensor) -> None:
        """Compare the first loss with theory, and the reference's log-probabilities with those of the same rows.

        In bf16 a log-probability depends a little on the other rows of a batch. This is noise and no error; the loss
        that is compared with theory takes both log-probabilities from the same rows and is free of it.
        """
        args, negatives, lengths = self.args, inputs["negatives"], inputs["lengths"]
        lowered = args.bf16 or args.fp16 or args.tf32 or self.model.dtype != torch.float32
        same_rows = self.reference.log_probs(model, inputs, self.log_probs)
        log_ratios = self.objective.log_ratios(log_probs, same_rows, lengths)
        loss = self.objective.losses(*split_rows(log_ratios, negatives), negatives).mean().item()
        theory = self.objective.start(negatives).mean().item()
        tolerance = max(1.0, args.beta) * (1e-3 if lowered else 1e-4)

        if not abs(loss - theory) <= tolerance:
            raise RunFailed(
                f"start-up check: expected the first loss to be {theory:.6f} ± {tolerance:g} "
                f"(policy = reference), got {loss:.6f}. Likely causes: dropout or another random "
                "layer is active; the weights changed before the first step; adapters do not start "
                "at zero"
            )

        noise = ((same_rows - reference).square() / lengths).mean().sqrt().item()
        limit = START_NOISE[not lowered]
        if not noise <= limit:
            raise RunFailed(
                "start-up check: expected the reference's log-probabilities to agree with the first "
                f"batch's within {limit:g} nats per √token (root mean square), got {noise:.3g}. "
                "Likely causes: the reference ran in another precision; the model's output depends "
                "on padding or on the other rows of a batch"
            )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means since the last log, over all examples and processes, and append a line to metrics.jsonl."""
        prefix = "eval_" if "eval_loss" in logs else ""
        if self.args.release_gradients:  # Trainer measures what is left of the gradients: nothing
            logs.pop("grad_norm", None)

        sums = self._sums[prefix]
        means: dict[str, Any] = {}
        window: dict[str, float] = {}
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
            sentences = self._of_evaluation(means, window) if prefix else self._find_alerts()
            line = self.state.log_history[-1] | ({"alerts": sentences} if sentences else {})
            try:
                with self._metrics.open("a", encoding="utf-8") as file:
                    jsonl.append(file, line)
            except OSError as error:  # a full disk costs a line and not the run
                complain(
                    "metrics.jsonl", f"no line at step {line['step']} ({error.strerror})", "warning"
                )

            self._say_new(prefix, sentences)

    def window(self):
        """Return what a checkpoint keeps: sums since the last log, the alerts' windows, the length of metrics.jsonl."""
        tensors = {
            f"{prefix}sums.{name}": value
            for prefix, sums in self._sums.items()
            for name, value in sums.items()
        }

        names = {prefix: list(sums) for prefix, sums in self._sums.items()}  # in the log's order
        values: dict[str, Any] = {"sums": names, "alerts": self._alerts, "recent": self._recent}
        if self.is_world_process_zero():
            values["metrics"] = self._metrics.stat().st_size if self._metrics.exists() else 0

        return tensors | self._head_gradients.state() | self._updates.state(), values

    def set_window(self, tensors, values) -> None:
        """Take over what `window` returned; drop the lines of metrics.jsonl that came after it."""
        self._sums = {
            prefix: {name: tensors[f"{prefix}sums.{name}"] for name in names}
            for prefix, names in values["sums"].items()
        }
        self._head_gradients.set_state(tensors)
        self._updates.set_state(tensors)
        self._alerts, self._recent = values["alerts"], values["recent"]
        size = values.get("metrics", math.inf)
        if self._metrics.exists() and self._metrics.stat().st_size > size:
            os.truncate(self._metrics, size)

    def _find_alerts(self) -> dict[str, str]:
        if sum(window["examples"] for window in self._recent) < EXAMPLES:
            return {}
        return alerts(self.objective, window_metrics(self.objective, *self._recent))

    def _of_evaluation(
        self, means: Mapping[str, float], window: Mapping[str, float]
    ) -> dict[str, str]:
        """Return the alerts of an evaluation; the theorem behind them is about one negative."""
        alone = window["negatives"] == window["examples"]
        return evaluation_alerts(self.objective, means, window["examples"]) if alone else {}

    def _say_new(self, prefix: str, sentences: dict[str, str]) -> None:
        """Print the alerts that the last log of this kind did not have."""
        before = self._said if prefix else self._alerts
        for kind, sentence in sentences.items():
            if kind not in before:
                say(f"        alert, {kind}: {sentence}")

        if prefix:
            self._said = sentences
        else:
            self._alerts = sentences
