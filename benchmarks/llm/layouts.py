"""What shared rows save: positions of all batches of a file, and seconds of forward and backward on some of them."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from tqdm import tqdm

from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.loss.attention import use_way
from llm_adapter.loss.logprobs import log_probs_from_head, sum_responses
from llm_adapter.models import load_model, load_tokenizer
from llm_adapter.training.layouts import Layout

SIZE = 4  # examples a batch
LAYOUTS = {  # as a run on a CPU makes them
    "padded": Layout().collate,
    "shared": Layout("shared", "segments").collate,
}


def measure(model: Path, data: Path, negatives: int, batches: int) -> dict:
    """Return positions by layout over all batches of the file in its order, and CPU-seconds of `batches` of them.

    The timed batches are spread evenly over the file; on each the two layouts take turns in going first. `agree` is the
    largest difference between their responses' log-probabilities, in nats.
    """
    torch.set_num_threads(1)
    tokenizer, network = load_tokenizer(str(model)), load_model(str(model)).train()
    use_way([network.config], "segments")
    chat = bool(tokenizer.chat_template)
    rows = tokenize(read_examples(data, negatives), tokenizer, 1024, data, chat)
    groups = [rows[start : start + SIZE] for start in range(0, len(rows), SIZE)]
    positions = {
        name: sum(make(group)["input_ids"].numel() for group in groups)
        for name, make in LAYOUTS.items()
    }
    real = {
        "padded": sum(
            len(example.prompt) + len(response)
            for example in rows
            for response in example.completions
        ),
        "shared": sum(len(example.prompt) + sum(map(len, example.completions)) for example in rows),
    }

    seconds: dict[str, list[float]] = {name: [] for name in LAYOUTS}
    agree = 0.0
    timed = [groups[int((index + 0.5) * len(groups) / batches)] for index in range(batches)]

    for index, group in enumerate(
        tqdm([timed[0][:1], *timed], f"{data.stem}, K ≤ {negatives}", leave=False)
    ):
        values = {}
        for name in list(LAYOUTS)[:: 1 if index % 2 else -1]:
            batch = LAYOUTS[name](group)
            network.zero_grad()
            started = time.process_time()
            log_probs = sum_responses(log_probs_from_head(network, batch), batch["lengths"])
            log_probs.mean().backward()
            spent = time.process_time() - started
            values[name] = log_probs.detach()
            if index:  # the first example warms both up
                seconds[name].append(spent)

        agree = max(agree, (values["padded"] - values["shared"]).abs().max().item())

    return {
        "model": model.name,
        "data": data.name,
        "examples": len(rows),
        "negatives": negatives,
        "batch": SIZE,
        "positions": positions,
        "real": real,
        "cpu_seconds": seconds,
        "agree": agree,
    }
