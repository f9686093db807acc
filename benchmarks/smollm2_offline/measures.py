"""What is measured while an arm trains: z of both responses, KL by sampling, success, length, and other text."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from transformers import TrainerCallback

from llm_adapter.data.collate import collate_shared
from llm_adapter.data.load import prepare
from llm_adapter.data.sources import open_source
from llm_adapter.data.tokens import Options, TokenizedExample, prompt_ids
from llm_adapter.evaluation.rollouts import verified
from llm_adapter.evaluation.sampling import Sample, prompt_text, sample_ids
from llm_adapter.evaluation.tasks import dataset
from llm_adapter.loss.logprobs import choose_log_probs, response_logits, split_rows, sum_responses
from llm_adapter.models import CausalLM, load_model, load_tokenizer

from . import plan
from .data import Data, rollout

TEXT = plan.HERE.parents[1] / "LICENSE"
"""Other text: the Apache licence, version 2.0, which ships with the repository."""
WINDOW = 256  # tokens
ROWS = 8  # prompts of a pass, each once with all its responses


@torch.no_grad()
def log_ratios(
    model: CausalLM, reference: Sequence[tuple[float, list[float]]] | None, examples: Sequence[Any]
) -> list[tuple[float, list[float]]]:
    """Return z of the chosen response and of the rejected ones of each example, in nats; ln π without a reference."""
    values: list[tuple[float, list[float]]] = []
    log_probs = None
    for start in range(0, len(examples), ROWS):
        batch = collate_shared(examples[start : start + ROWS])
        log_probs = log_probs or choose_log_probs(model, batch)
        sums = sum_responses(log_probs(model, batch), batch["lengths"])
        chosen, rejected = split_rows(sums, batch["negatives"])
        for one, others, mask in zip(chosen, rejected, batch["negatives"], strict=True):
            values.append((one.item(), others[mask].tolist()))

    if reference is None:
        return values

    return [
        (one - base, [z - b for z, b in zip(others, bases, strict=True)])
        for (one, others), (base, bases) in zip(values, reference, strict=True)
    ]


@torch.no_grad()
def sampled_kl(
    model: CausalLM,
    reference: CausalLM,
    prompts: Sequence[list[int]],
    drawn: Sequence[list[Sample]],
) -> float:
    """Return KL(π‖π_ref) of whole responses in nats, by sampling: the mean over responses that π has drawn.

    Each response contributes the sum over its tokens of the KL between the two laws of the next token, which are known
    exactly. Its expectation is the KL of whole responses, by the chain rule, and it varies less than ln π/π_ref.
    """
    responses = [tuple(list(row.ids) for row in several if row.ids) for several in drawn]
    examples = [
        TokenizedExample(place, prompt, ids)
        for place, (prompt, ids) in enumerate(zip(prompts, responses, strict=True))
        if ids
    ]

    totals = []
    for start in range(0, len(examples), ROWS):
        batch = collate_shared(examples[start : start + ROWS])
        law, base = (
            response_logits(net, batch).float().log_softmax(-1) for net in (model, reference)
        )
        steps = (law.exp() * (law - base)).sum(-1)
        totals += sum_responses(steps, batch["lengths"]).tolist()

    return fmean(totals)


@torch.no_grad()
def text_nats(model: CausalLM, tokenizer: Any, windows: int) -> float:
    """Return the mean −ln π of a token of other text, in nats; its exponential is the perplexity."""
    ids = tokenizer(TEXT.read_text(encoding="utf-8"), add_special_tokens=False)["input_ids"]
    count = min(windows, len(ids) // WINDOW)
    rows = torch.tensor(ids[: count * WINDOW]).view(count, WINDOW)

    losses = []
    for row in rows.split(1):
        law = model(input_ids=row, use_cache=False).logits[:, :-1].float().log_softmax(-1)
        losses.append(-law.gather(-1, row[:, 1:, None]).mean().item())

    return fmean(losses)


class Bench:
    """What all runs of a process are measured on: the reference, the pairs and the questions."""

    def __init__(self, size: plan.Size, start: str, data: Data) -> None:
        self.size, self.start = size, start
        self.tokenizer = load_tokenizer(start)
        self.reference = load_model(start).eval().requires_grad_(False)
        self.pairs = prepare(open_source(data.held_out), self.tokenizer, Options(1024)).examples
        self.base = log_ratios(self.reference, None, self.pairs)

        self.asked = []  # question, prompt, verifier
        for task, several in data.questions:
            verifier = dataset(rollout(task, start, size, 1, data.train))
            self.asked += [
                (question, prompt_ids(prompt_text(question.text, self.tokenizer), self.tokenizer), verifier)
                for question in several
            ]  # fmt: skip

        stride = max(1, len(self.asked) // size.probes)
        self.probed = self.asked[::stride][: size.probes]

    def draw(self, model: CausalLM, asked: Sequence[Any], samples: int, seed: int):
        """Return sampled responses to questions, and their records."""
        drawn: list[list[Sample]] = []
        for start in range(0, len(asked), 16):
            prompts = [prompt for _, prompt, _ in asked[start : start + 16]]
            drawn += sample_ids(
                model, self.tokenizer, prompts, samples, 1.0, self.size.new_tokens, seed + start
            )

        records = [
            [verified(response, question, verifier) for response in several]
            for (question, _, verifier), several in zip(asked, drawn, strict=True)
        ]

        return drawn, records

    def look(self, model: CausalLM, step: int, seed: int) -> dict[str, float]:
        """Return the point of a run's curves at a step."""
        few = slice(0, self.size.curve)
        z = log_ratios(model, self.base[few], self.pairs[few])
        drawn, records = self.draw(model, self.probed, self.size.probe_samples, 1000 * seed + step)
        prompts = [prompt for _, prompt, _ in self.probed]
        rows = [row for several in records for row in several]

        return {
            "steps": step,
            "z_chosen": fmean(chosen for chosen, _ in z),
            "z_rejected": fmean(value for _, others in z for value in others),
            "kl": sampled_kl(model, self.reference, prompts, drawn),
            "finished": fmean(row["finished"] for row in rows),
            "tokens": fmean(row["tokens"] for row in rows),
            "success": fmean(row["right"] for row in rows),
        }

    def finish(self, model: CausalLM, seed: int) -> dict[str, Any]:
        """Return what is measured once, at the end of a run: all pairs, all questions, other text."""
        z = log_ratios(model, self.base, self.pairs)
        _, records = self.draw(model, self.asked, self.size.end_samples, 7 + seed)
        rows = [row for several in records for row in several]

        return {
            "pairs_chosen": [round(chosen, 2) for chosen, _ in z],
            "pairs_rejected": [round(fmean(others), 2) for _, others in z],
            "right": [sum(row["right"] for row in several) for several in records],
            "end_finished": fmean(row["finished"] for row in rows),
            "end_tokens": fmean(row["tokens"] for row in rows),
            "text_nats": text_nats(model, self.tokenizer, self.size.windows),
        }


class Probe(TrainerCallback):
    """Measure a model while it is trained; the curves are in `points`, one a column."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench, self.seed = bench, seed
        self.points: list[dict[str, float]] = []
        self.end: dict[str, Any] = {}

    def _look(self, model: Any, step: int) -> None:
        training = model.training
        model.eval()
        self.points.append(self.bench.look(model, step, self.seed))
        model.train(training)

    def on_train_begin(self, args, state, control, model=None, **_):
        """Measure the start."""
        self._look(model, 0)

    def on_step_end(self, args, state, control, model=None, **_):
        """Measure every so many steps."""
        if state.global_step % self.bench.size.every == 0:
            self._look(model, state.global_step)

    def on_train_end(self, args, state, control, model: Any = None, **_):
        """Measure what is measured once."""
        model.eval()
        self.end = self.bench.finish(model, self.seed)

    def row(self) -> dict[str, Any]:
        """Return the curves and the end."""
        names = self.points[0]
        return {name: [point[name] for point in self.points] for name in names} | self.end
