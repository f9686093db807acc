"""A model's verified responses to questions, kept in a journal: a stopped run goes on where it was.

The journal is a JSON-lines file of one finished question a line, written a batch of questions at a time. Each batch is
drawn from its own seed, so a run that was stopped and one that was not leave the same bytes.
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
from ..models import load_model
from .sampling import Sample, prompt_text, sample
from .tasks import Question, dataset, extract_number

FORMAT = 1
"""Raise it when the same model draws or marks otherwise: an older journal is then not gone on with."""


def fingerprint(model: nn.Module) -> str:
    """Return a short name of the weights: equal weights, equal name."""
    digest = hashlib.sha256()
    for name, weights in model.state_dict().items():
        values = weights.detach().double()
        sums = f"{values.sum():.9e} {values.square().sum():.9e}"  # rounded: another machine may add in another order
        digest.update(f"{name} {tuple(weights.shape)} {sums}\n".encode())
    return digest.hexdigest()[:16]


def collect(
    arguments: RolloutArguments,
    questions: Sequence[Question],
    model: nn.Module,
    tokenizer,
    path: Path,
) -> list[dict]:
    """Sample and verify responses to the questions; go on with the journal at `path` where there is one.

    Args:
        arguments: with temperature 0, one greedy response a question.

    Returns:
        One record a question: `question`, `answer`, and `responses`, each with its `text`, the `number` read from it
        (None if none), `right`, `finished` and its `tokens`.

    Raises:
        ValueError: a journal of other weights, template, questions, settings or verifier, or no journal at all.
    """
    greedy = arguments.temperature == 0
    settings = [
        fingerprint(model),
        [q.text for q in questions],
        arguments.batch,
        arguments.max_new_tokens,
    ]
    settings += [tokenizer_digest(tokenizer), *_verifier_version()]
    settings += [] if greedy else [arguments.samples, arguments.temperature, arguments.seed]
    name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    verifier = dataset(arguments)
    records = _read(path, name, questions, arguments.batch)
    shown = {"unit": "question", "desc": str(arguments), "disable": arguments.disable_tqdm}
    bar = tqdm(total=len(questions), initial=len(records), **shown)
    with bar, path.open("a", encoding="utf-8") as journal:
        for start in range(len(records), len(questions), arguments.batch):
            asked = questions[start : start + arguments.batch]
            drawn = sample(
                model,
                tokenizer,
                [prompt_text(question.text, tokenizer) for question in asked],
                1 if greedy else arguments.samples,
                arguments.temperature,
                arguments.max_new_tokens,
                seed=int.from_bytes(
                    hashlib.sha256(f"{arguments.seed} {start}".encode()).digest()[:7]
                ),
            )
            new = [
                {
                    "run": name,
                    "question": question.text,
                    "answer": question.answer,
                    "responses": [
                        _verified(response, question, verifier) for response in responses
                    ],
                }
                for question, responses in zip(asked, drawn, strict=True)
            ]
            journal.write("".join(json.dumps(record) + "\n" for record in new))
            journal.flush()
            os.fsync(journal.fileno())
            records += new
            bar.update(len(new))
    return records


def _verifier_version() -> list[str]:
    return [metadata.version("reasoning-gym"), str(FORMAT)]


def _verified(response: Sample, question: Question, verifier) -> dict:
    """Return the record of a response; a cut one is never right: what it would have said is not known."""
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
    }


def _read(path: Path, name: str, questions: Sequence[Question], batch: int) -> list[dict]:
    """Return the journal's records of whole batches and cut the file behind them."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    records, size = [], 0
    for line in lines:
        try:
            record = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            record = {}
        if record is None:
            break  # cut short
        if (
            not isinstance(record, dict)
            or record.get("run") != name
            or len(records) == len(questions)
        ):
            raise ValueError(
                f"out: expected {path} to be a journal of these weights, template, questions, settings and verifier, "
                "got another's (remove it, or choose another out)"
            )
        records.append(record)
    whole = len(records) if len(records) == len(questions) else len(records) // batch * batch
    size = sum(map(len, lines[:whole]))
    if lines:
        os.truncate(path, size)
    return records[:whole]


def load(arguments: RolloutArguments) -> nn.Module:
    """Return the model, in evaluation mode, on the accelerator if there is one."""
    if arguments.disable_tqdm:
        logging.disable_progress_bar()  # of weights that are read
    set_seed(arguments.seed)  # the built-in model's weights
    model = load_model(arguments.model, trust_remote_code=arguments.trust_remote_code)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
