"""A small transformer that is taught to answer questions right with a chosen probability: the quick size's model.

It is the adapter's built-in model (two layers, 119 thousand weights, bytes), trained here by maximum likelihood on
answers of which a share ε is right and the others are random numbers below a hundred. So its base success is near ε
on every question it has seen, and it always ends its answers. It shows shapes in minutes and is evidence about no
language model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import set_seed

from llm_adapter.arguments.names import BUILTIN
from llm_adapter.data.collate import collate
from llm_adapter.data.tokens import TokenizedExample, prompt_ids
from llm_adapter.evaluation.sampling import prompt_text
from llm_adapter.evaluation.tasks import Question
from llm_adapter.loss.logprobs import choose_log_probs
from llm_adapter.models import load_model, load_tokenizer

NAME = "a small transformer (119 thousand weights), taught here"
STEPS, BATCH, RATE = 1000, 64, 3e-3
# Of the steps, in which all answers are right: facts are learnt before they are doubted
SHARE = 0.7
TEMPLATE = (
    "{{ messages[0].content.split(':')[-1].split('.')[0] | replace(' ', '') }}="
    "{% if messages | length > 1 %}{{ messages[1].content }}{{ eos_token }}{% endif %}"
)
"""The model reads the expression alone, "7*5=": short rows are what makes it quick."""


def drawn_answer(answer: str, epsilon: float, law: random.Random) -> str:
    """Return the answer with probability ε, else another number from 0 to 99.

    >>> drawn_answer("42", 1.0, random.Random(0)), drawn_answer("7", 0.0, random.Random(0)) != "7"
    ('42', True)
    """
    if law.random() < epsilon:
        return answer
    others = [number for number in range(100) if str(number) != answer]
    return f"{law.choice(others)}"


def taught(
    questions: Sequence[Question], epsilon: float, folder: Path, steps: int = STEPS, seed: int = 0
) -> str:
    """Teach the model, once; return its folder."""
    if (folder / "model.safetensors").exists():
        return str(folder)

    set_seed(seed)
    model, tokenizer = load_model(BUILTIN).train(), load_tokenizer(BUILTIN)
    tokenizer.chat_template = TEMPLATE
    prompts = [
        prompt_ids(prompt_text(question.text, tokenizer), tokenizer) for question in questions
    ]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    law, log_probs = random.Random(seed), None

    for step in range(steps):
        share = 1.0 if step < SHARE * steps else epsilon
        examples = []
        for place in law.choices(range(len(questions)), k=BATCH):
            answer = drawn_answer(questions[place].answer, share, law)
            ids = [
                *tokenizer(answer, add_special_tokens=False)["input_ids"],
                tokenizer.eos_token_id,
            ]
            examples.append(TokenizedExample(0, prompts[place], (ids,)))

        batch = collate(examples)
        log_probs = log_probs or choose_log_probs(model, batch)
        (-log_probs(model, batch).mean()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()

    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
