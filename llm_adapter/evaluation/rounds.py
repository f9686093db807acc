"""Rounds of sampling, verifying and training: the policy answers, and learns from its own right and wrong answers.

The journal has a JSON line for each round. A checkpoint holds weights, optimiser and the number of rounds; a stopped
run goes on from the last one and leaves the journal of a run that was not stopped. Every round draws its questions and
its responses from seeds of its own.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..arguments.online import OnlineArguments
from ..data.collate import collate
from ..data.tokens import TokenizedExample, prompt_ids
from ..loss.groups import GroupObjective
from ..loss.logprobs import choose_log_probs, sum_responses
from ..loss.objective import Objective
from ..models import CausalLM, disable_dropout
from .progress import Progress
from .rollouts import drawn_by, fingerprint, verified
from .sampling import answered_ids, beside_answer, prompt_text, sample_ids
from .tasks import Question

Group = tuple[list[int], list[dict[str, Any]]]
"""The ids of a prompt, and its verified responses."""
RECENT = 64  # questions over which success is averaged
FREE = ("rounds", "stop_at", "save_model", "out", "disable_tqdm", "micro_batch")
FREE += ("eval_count", "eval_samples", "eval_split", "save_rounds")
FREE += ("model", "chat_template", "trust_remote_code")  # their weights and text are hashed
"""Arguments that may change when a run goes on."""


def group_objective(arguments: OnlineArguments) -> GroupObjective:
    """Return the loss that the arguments describe."""
    if arguments.objective != "preference":
        normalised = arguments.objective.endswith("normalised")
        return GroupObjective(advantage="normalised" if normalised else "centred")
    names = ("bound", "mix", "beta", "loss")
    return GroupObjective(Objective(**{name: getattr(arguments, name) for name in names}))


def recent_success(lines: Sequence[dict[str, Any]]) -> tuple[int, float]:
    """Return how many questions the last lines of a journal have, and their mean success, 0 of none.

    Lines are taken from the end until they have `RECENT` questions.

    >>> recent_success([{"questions": 9, "success": 0.0}, {"questions": 64, "success": 0.5}])
    (64, 0.5)
    """
    asked, total = 0, 0.0
    for line in reversed(lines):
        if asked >= RECENT:
            break
        asked += line["questions"]
        total += line["success"] * line["questions"]

    return asked, total / asked if asked else 0.0


class Rounds:
    """A run of rounds.

    Args:
        arguments: of the command.
        questions: the training questions.
        model, tokenizer: the policy; the model is trained in place.
        verifier: tells right answers, as `evaluation.tasks.dataset` returns it.
        template: arguments of the chat template.

    Raises:
        ValueError: beside the results lie the files of another run.
    """

    def __init__(
        self,
        arguments: OnlineArguments,
        questions: Sequence[Question],
        model: CausalLM,
        tokenizer: Any,
        verifier: Any,
        template: dict[str, Any],
    ) -> None:
        self.arguments, self.questions, self.verifier = arguments, questions, verifier
        self.model, self.tokenizer = model, tokenizer
        self.objective = group_objective(arguments)
        disable_dropout(model)
        model.eval()  # dropout is off, and a training mode would change nothing else
        base = arguments.reference == "base" and self.objective.preference is not None
        self._progress = Progress(Path(arguments.out), self._digest(fingerprint(model)))
        self.journal = self._progress.journal
        self._frozen = copy.deepcopy(model).requires_grad_(False) if base else None
        kind = torch.optim.SGD if arguments.optimizer == "sgd" else torch.optim.AdamW
        self._optimizer = kind(model.parameters(), lr=arguments.learning_rate, weight_decay=0.0)
        self._prompts = [
            prompt_ids(prompt_text(question.text, tokenizer, template), tokenizer)
            for question in questions
        ]
        self._answers = [
            answered_ids(question.text, question.answer, tokenizer, template)
            for question in questions
            if arguments.positives == "supplied"
        ]
        self._given: list[Group] = []  # of the model as given, a group a question
        self._log_probs = None
        self.lines: list[dict[str, Any]] = []

    def _digest(self, weights: str) -> str:
        """Return a hash of what decides the course of the run."""
        values = {name: v for name, v in asdict(self.arguments).items() if name not in FREE}
        texts = [question.text for question in self.questions]
        content = json.dumps([weights, values, texts, drawn_by(self.tokenizer)], default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def run(self) -> list[dict[str, Any]]:
        """Go through the rounds that are left; return the lines of all."""
        if self.arguments.sampler == "base":
            places = range(len(self.questions))
            self._given = list(self._sampled("base", places))  # before a checkpoint is taken over

        arguments, progress = self.arguments, self._progress
        self.lines = progress.restore(self.model, self._optimizer, self._device)
        bar = tqdm(
            range(len(self.lines), arguments.rounds),
            initial=len(self.lines),
            total=arguments.rounds,
            unit="round",
            desc=self.objective.name,
            disable=arguments.disable_tqdm,
        )

        with bar, self.journal.open("a", encoding="utf-8") as journal:
            for number in bar:
                if self.reached():
                    break

                line = self._round(number)
                self.lines.append(line)
                journal.write(json.dumps(line) + "\n")
                journal.flush()
                os.fsync(journal.fileno())
                bar.set_postfix(success=f"{self.success():.2f}")
                if (number + 1) % arguments.save_rounds == 0:
                    progress.save(self.lines, self.model, self._optimizer)

        if len(self.lines) % arguments.save_rounds:
            progress.save(self.lines, self.model, self._optimizer)
        return self.lines

    def success(self) -> float:
        """Return the mean success of the last `RECENT` sampled questions, by whole rounds; 0 before the first."""
        return recent_success(self.lines)[1]

    def reached(self) -> bool:
        """Return whether success has reached `stop_at`, over enough questions."""
        limit = self.arguments.stop_at
        asked, success = recent_success(self.lines)
        return limit is not None and asked >= RECENT and success >= limit

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _asked(self, number: int) -> list[int]:
        """Return the questions of a round: they come in a new order in each pass through all of them."""
        count, total = self.arguments.prompts, len(self.questions)
        places = range(number * count, (number + 1) * count)
        orders = {
            epoch: np.random.default_rng([self.arguments.seed, epoch]).permutation(total)
            for epoch in {place // total for place in places}
        }

        return [int(orders[place // total][place % total]) for place in places]

    def _round(self, number: int) -> dict[str, Any]:
        arguments = self.arguments
        asked = self._asked(number)
        groups = list(self._sampled(number, asked))
        responses = [response for _, group in groups for response in group]
        counts = [sum(response["right"] for response in group) for _, group in groups]
        trained = [self._given[place] for place in asked] if self._given else groups

        if arguments.positives == "supplied":
            trained = [
                self._with_answer(place, group)
                for place, (_, group) in zip(asked, trained, strict=True)
            ]

        informative = [
            (prompt, group)
            for prompt, group in trained
            if 0 < sum(response["right"] for response in group) < len(group)
        ]

        values: dict[str, float] = {}
        for _ in range(arguments.updates if informative else 0):
            values = self._update(informative, len(groups))

        sampled = len(responses)
        before = self.lines[-1]["samples"] if self.lines else 0
        return {
            "run": self._progress.settings,
            "round": number + 1,
            "samples": before + sampled,
            "questions": len(groups),
            "success": sum(counts) / sampled,
            "finished": sum(response["finished"] for response in responses) / sampled,
            "tokens": sum(response["tokens"] for response in responses) / sampled,
            "zero_gradient": 1 - len(informative) / len(groups),
            "right": dict(zip(map(str, asked), counts, strict=True)),
            **values,
        }

    def _with_answer(self, place: int, group: Sequence[dict[str, Any]]) -> Group:
        """Return a question's answer against the wrong responses of a group; likelihood alone takes any response."""
        alone = self.arguments.loss == "sft"
        others = [row | {"right": False} for row in group if alone or not row["right"]]
        return beside_answer(self._prompts[place], self._answers[place], others)

    def _sampled(self, number: int | str, asked: Sequence[int]) -> Iterator[Group]:
        """Yield the prompt of each question with its verified responses; the number names the seed."""
        arguments = self.arguments
        for start in range(0, len(asked), arguments.batch):
            places = asked[start : start + arguments.batch]
            seed = hashlib.sha256(f"{arguments.seed} {number} {start}".encode()).digest()[:7]
            drawn = sample_ids(
                self.model,
                self.tokenizer,
                [self._prompts[place] for place in places],
                arguments.samples,
                arguments.temperature,
                arguments.max_new_tokens,
                seed=int.from_bytes(seed),
            )

            for place, responses in zip(places, drawn, strict=True):
                question = self.questions[place]
                group = [verified(response, question, self.verifier) for response in responses]
                yield self._prompts[place], group

    def _update(self, groups: Sequence[Group], total: int) -> dict[str, float]:
        """Take a step on the mean loss over all `total` groups; those without a gradient count as 0."""
        losses, chosen, rejected = [], [], []
        size = self.arguments.micro_batch
        for start in range(0, len(groups), size):
            part = groups[start : start + size]
            right = [torch.tensor([row["right"] for row in group]) for _, group in part]
            ratios = self._log_ratios(part)
            values = [
                self.objective.loss(z, mask.to(z.device))
                for z, mask in zip(ratios, right, strict=True)
            ]
            (torch.stack(values).sum() / total).backward()
            losses += [value.item() for value in values]

            for z, mask in zip(ratios, right, strict=True):
                chosen.append(z.detach().cpu()[mask].mean().item())
                rejected.append(z.detach().cpu()[~mask].mean().item())

        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.arguments.max_grad_norm)
        if not norm.isfinite():
            raise ValueError(
                "learning_rate: expected finite gradients, got NaN or infinity (lower it)"
            )

        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return {
            "loss": sum(losses) / total,
            "gradient_norm": norm.item(),
            "z/right": sum(chosen) / len(chosen),
            "z/wrong": sum(rejected) / len(rejected),
        }

    def _log_ratios(self, groups: Sequence[Group]) -> tuple[Tensor, ...]:
        """Return z of each response of each group, in nats."""
        examples = [
            TokenizedExample(0, prompt, tuple(row["ids"] for row in group))
            for prompt, group in groups
        ]
        batch = {name: value.to(self._device) for name, value in collate(examples).items()}
        if self._log_probs is None:
            self._log_probs = choose_log_probs(self.model, batch)

        log_probs = sum_responses(self._log_probs(self.model, batch), batch["lengths"])
        if self._frozen is None:
            reference = log_probs.detach()
        else:
            with torch.no_grad():
                reference = sum_responses(self._log_probs(self._frozen, batch), batch["lengths"])

        ratios = log_probs - reference
        count = len(examples)  # the first response of each, then the others, example by example
        first, others = ratios[:count], ratios[count:]
        parts = others.split([len(example.completions) - 1 for example in examples])

        return tuple(
            torch.cat([one.unsqueeze(0), part]) for one, part in zip(first, parts, strict=True)
        )
