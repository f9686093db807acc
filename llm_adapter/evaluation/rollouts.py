"""Sample and verify a model's responses to questions; a journal lets a stopped run continue.

The journal has a JSON line for each question and grows by a batch of questions at a time. Each batch has its own seed,
so a run that was stopped leaves the same bytes as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm
from transformers import set_seed
from transformers.utils import logging

from ..arguments.rollouts import RolloutArguments
from ..data.cache import tokenizer_digest
from ..data.load import template_arguments
from ..data.templates import check_template_arguments
from ..data.tokens import prompt_ids
from ..loss import probes
from ..models import load_model
from .sampling import Sample, prompt_text, sample
from .tasks import Question, dataset, extract_number

FORMAT = 2
"""Raise it when the same model would draw or mark otherwise: an older journal is then refused."""


def fingerprint(model: nn.Module) -> str:
    """Return a short name of the weights; equal weights have equal names."""
    digest = hashlib.sha256()
    for name, weights in model.state_dict().items():
        values = weights.detach().double()
        # rounded, because another machine may add in another order
        sums = f"{values.sum():.9e} {values.square().sum():.9e}"
        digest.update(f"{name} {tuple(weights.shape)} {sums}\n".encode())

    return digest.hexdigest()[:16]


def drawn_by(tokenizer) -> list[str]:
    """Return what decides, beside weights and settings, how answers are drawn and marked: tokenizer, template, code."""
    return [tokenizer_digest(tokenizer), metadata.version("reasoning-gym"), str(FORMAT)]


def collect(
    arguments: RolloutArguments,
    questions: Sequence[Question],
    model: nn.Module,
    tokenizer,
    path: Path,
    anew: bool = False,
) -> list[dict]:
    """Sample and verify responses to the questions; continue the journal at `path` if there is one.

    Args:
        arguments: with temperature 0, one greedy response for each question.
        questions: what is asked.
        model, tokenizer: who is asked.
        path: the journal.
        anew: replace a journal of other weights or settings, and say so, in place of refusing it.

    Returns:
        A record for each question: `question`, `answer`, `prompt_ids` and `responses`, each with its `text`, the
        `number` in it (or None), `right`, `finished`, its count of `tokens` and their `ids`.

    Raises:
        ValueError: `path` is no journal, or one of other weights, template, questions, settings or verifier; the
            model's tokens see later ones.
    """
    greedy = arguments.temperature == 0
    texts = [question.text for question in questions]
    settings = [fingerprint(model), texts, arguments.batch, arguments.max_new_tokens]
    settings += drawn_by(tokenizer)
    settings += [arguments.chat_template_kwargs] if arguments.chat_template_kwargs else []
    settings += [] if greedy else [arguments.samples, arguments.temperature, arguments.seed]
    name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    template = template_arguments(arguments)
    check_template_arguments(template, tokenizer.chat_template)
    verifier = dataset(arguments)
    try:
        records = _read(path, name, questions, arguments.batch)
    except ValueError:
        if not anew:
            raise
        print(f"{path} is of other weights or settings: the questions are asked anew", flush=True)
        path.write_bytes(b"")
        records = []

    if len(records) < len(questions):
        ids = prompt_ids(prompt_text(texts[len(records)], tokenizer, template), tokenizer)
        row = torch.tensor([ids[: probes.READ]], device=next(model.parameters()).device)
        probes.refuse_lookahead(model, row)

    bar = tqdm(
        total=len(questions),
        initial=len(records),
        unit="question",
        desc=str(arguments),
        disable=arguments.disable_tqdm,
    )

    with bar:
        for start in range(len(records), len(questions), arguments.batch):
            batch = questions[start : start + arguments.batch]
            seed = hashlib.sha256(f"{arguments.seed} {start}".encode()).digest()[:7]
            prompts = [prompt_text(question.text, tokenizer, template) for question in batch]
            drawn = sample(
                model,
                tokenizer,
                prompts,
                1 if greedy else arguments.samples,
                arguments.temperature,
                arguments.max_new_tokens,
                seed=int.from_bytes(seed),
            )

            new = [
                {
                    "run": name,
                    "question": question.text,
                    "answer": question.answer,
                    "prompt_ids": prompt_ids(prompt, tokenizer),
                    "responses": [verified(response, question, verifier) for response in responses],
                }
                for question, prompt, responses in zip(batch, prompts, drawn, strict=True)
            ]

            with path.open("a", encoding="utf-8") as journal:
                journal.write("".join(json.dumps(record) + "\n" for record in new))
                journal.flush()
                os.fsync(journal.fileno())
            records += new
            bar.update(len(new))

    return records


def verified(response: Sample, question: Question, verifier) -> dict:
    """Return the record of a response; a cut one is never right, because its end is not known."""
    number = extract_number(response.text)
    right = (
        response.finished
        and number is not None
        and verifier.score_answer(number, question.entry) == 1
    )

    return {
        "text": response.text,
        "number": number,
        "right": bool(right),
        "finished": response.finished,
        "tokens": response.tokens,
        "ids": list(response.ids),
    }


def _read(path: Path, name: str, questions: Sequence[Question], batch: int) -> list[dict]:
    """Return the journal's records of complete batches and cut the file after them."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    records = []
    for line in lines:
        if not line.endswith(b"\n"):
            break  # cut short

        try:
            record = json.loads(line)
        except ValueError:
            record = None

        ours = isinstance(record, dict) and record.get("run") == name
        if not ours or len(records) == len(questions):
            raise ValueError(
                "out: expected a journal of the same weights, template, questions, settings and "
                f"verifier, got another one in {path} (remove it, or choose another out)"
            )

        records.append(record)

    whole = len(records) if len(records) == len(questions) else len(records) // batch * batch
    if lines:
        os.truncate(path, sum(map(len, lines[:whole])))

    return records[:whole]


def load(arguments: RolloutArguments) -> nn.Module:
    """Return the model in evaluation mode, on the GPU if there is one."""
    if arguments.disable_tqdm:
        logging.disable_progress_bar()  # of weights that are read
    set_seed(arguments.seed)  # the built-in model's weights
    model = load_model(arguments.model, trust_remote_code=arguments.trust_remote_code)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
