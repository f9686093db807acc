"""`transformers.Trainer` with a preference loss of `mi_estimators`: T = β ln π/π_ref, π_ref precomputed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from tqdm import tqdm
from transformers import Trainer

import mi_estimators as mi

from .arguments import PreferenceArguments
from .batching import collate, split_rows
from .data import TokenizedExample
from .logprobs import choose_log_probs
from .runlog import append_json_line, derived_metrics


class PreferenceTrainer(Trainer):
    """Train all weights of a causal LM on preference examples; METRICS.md defines what is logged.

    The reference is the model as given: its log-probabilities are computed here, before the first step, so there is
    never a second copy of the weights. The first loss must be the loss at zero scores; the first step checks it.
    """

    def __init__(
        self,
        model: nn.Module,
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
        )
        self.label_names = ["completion_mask"]  # present in every batch, so evaluation goes through compute_loss
        self.model_accepts_loss_kwargs = False  # a batch's mean is returned: Trainer divides it by the accumulation
        self._checked = False
        self._sums: dict[str, dict[str, Tensor]] = {"": {}, "eval_": {}}  # since the last log, over examples
        probe = (train_dataset[0].prompt + train_dataset[0].completions[0])[:16]
        self.log_probs = choose_log_probs(model, torch.tensor([probe], device=args.device))
        self.train_dataset = self.with_reference(train_dataset)
        self.eval_dataset = self.with_reference(eval_dataset) if eval_dataset else None

    @torch.no_grad()
    def with_reference(self, examples: Sequence[TokenizedExample]) -> list[TokenizedExample]:
        """Return the examples with the model's present log-probabilities; processes share the work."""
        self.model.eval()
        longest_first = sorted(range(len(examples)), key=lambda i: -max(map(len, examples[i].completions)))
        mine = longest_first[self.args.process_index :: self.args.world_size]
        size = self.args.per_device_eval_batch_size
        found = []
        for start in tqdm(range(0, len(mine), size), "reference", disable=self.args.disable_tqdm, leave=False):
            indices = mine[start : start + size]
            batch = self._prepare_inputs(self.data_collator([examples[i] for i in indices]))
            with self.accelerator.autocast():
                chosen, rejected = split_rows(self._summed_log_probs(self.model, batch), batch["negatives"])
            for i, first, rest in zip(indices, chosen.tolist(), rejected.tolist(), strict=True):
                found.append((i, (first, *rest[: len(examples[i].completions) - 1])))
        references = dict(gather_object(found))
        return [replace(example, reference=references[i]) for i, example in enumerate(examples)]

    def _summed_log_probs(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return self.log_probs(model, batch["input_ids"], batch["attention_mask"], batch["completion_mask"]).sum(-1)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Return the batch's mean preference loss and add its metrics to the running sums."""
        negatives = inputs["negatives"]
        log_probs = self._summed_log_probs(model, inputs)
        chosen, rejected = split_rows(self.args.beta * (log_probs - inputs["reference"]), negatives)
        losses = self._preference_loss(chosen, rejected, negatives)
        loss = losses.mean()
        if model.training and not self._checked:
            self._checked = True
            if self.state.global_step == 0:  # a resumed run starts away from its reference
                self._check_start(loss.item(), negatives)
        sums = self._sums["" if model.training else "eval_"]
        for name, values in self._metrics(log_probs.detach(), chosen.detach(), rejected.detach(), negatives).items():
            sums[name] = sums.get(name, 0) + values.double().sum()
        return (loss, {}) if return_outputs else loss

    def _preference_loss(self, chosen: Tensor, rejected: Tensor, negatives: Tensor) -> Tensor:
        return mi.preference_loss(chosen, rejected, self.args.bound, self.args.mix, mask=negatives)

    def _check_start(self, measured: float, negatives: Tensor) -> None:
        zero = torch.zeros(negatives.shape)
        theory = self._preference_loss(zero[:, 0], zero, negatives.cpu()).mean().item()
        exact = not (self.args.bf16 or self.args.fp16 or self.args.tf32) and self.model.dtype == torch.float32
        tolerance = max(1.0, self.args.beta) * (1e-4 if exact else 0.1)
        if not abs(measured - theory) <= tolerance:
            raise RuntimeError(
                f"start-up check: expected the first loss to be {theory:.6f} ± {tolerance:g} (policy = reference), "
                f"got {measured:.6f}. Likely causes: dropout or another random layer is active; the reference pass ran "
                "in another precision; the model's output depends on padding or on the batch's other rows."
            )

    def _metrics(self, log_probs: Tensor, chosen: Tensor, rejected: Tensor, negatives: Tensor) -> dict[str, Tensor]:
        """Return per-example metrics, shape (B,): means over the K negatives, except that gradients add up."""
        count = negatives.sum(-1)

        def mean(values: Tensor) -> Tensor:
            return values.where(negatives, 0).sum(-1) / count

        with torch.enable_grad():
            scores = chosen.clone().requires_grad_(), rejected.clone().requires_grad_()
            pull, push = torch.autograd.grad(self._preference_loss(*scores, negatives).sum(), scores)
        logps_chosen, logps_rejected = split_rows(log_probs, negatives)
        return {
            "rewards/chosen": chosen,
            "rewards/rejected": mean(rejected),
            "rewards/margins": chosen - mean(rejected),
            "rewards/accuracies": mean((chosen.unsqueeze(-1) > rejected).to(chosen.dtype)),
            "logps/chosen": logps_chosen,
            "logps/rejected": mean(logps_rejected),
            "gradient/chosen": -pull,
            "gradient/rejected": push.sum(-1),
            "examples": torch.ones_like(chosen),
        }

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means since the last log, over all examples and processes, and append a line to metrics.jsonl."""
        prefix = "eval_" if "eval_loss" in logs else ""
        sums = self._sums[prefix]
        measured = bool(sums) and f"{prefix}loss" in logs
        if measured:
            totals = self.accelerator.reduce(torch.stack(list(sums.values())), "sum").tolist()
            means = dict(zip(sums, totals, strict=True))
            examples = means.pop("examples")
            means = {name: total / examples for name, total in means.items()}
            means |= derived_metrics(self.args.bound, self.args.mix, means["rewards/chosen"])
            logs.update({prefix + name: value for name, value in means.items()})
            sums.clear()
        super().log(logs, start_time)
        if measured and self.is_world_process_zero():
            append_json_line(Path(self.args.output_dir) / "metrics.jsonl", self.state.log_history[-1])
