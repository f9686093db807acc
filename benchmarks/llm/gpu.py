"""What a GPU gives, in stages of at most three minutes: `python -m benchmarks.llm.gpu --stage exact|1b|8b|estimate`.

Models have random weights, made from their configs, so nothing is downloaded. Each row is written as it is measured.
`--tiny` runs every stage on the CPU with small models: it shows that the script works, and its rows say so.

exact     every path (segments, blocks, dense masks, the head, recipes) against padded rows in float32
1b, 8b    pairs and real tokens a second, share of the peak FLOP/s, memory, the planner's error; TRL where installed
estimate  `estimate_mi` on the GPU gives the CPU's value, and its seconds
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks.environment import require

require("llm", "benchmarks.llm.gpu")  # before the imports that need it

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    ByT5Tokenizer,
    LlamaConfig,
    TrainerCallback,
    set_seed,
)

from llm_adapter.data.collate import collate, collate_shared
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss.attention import BLOCK, WAYS, use_way
from llm_adapter.loss.head import mixed_products
from llm_adapter.loss.logprobs import log_probs_from_head, log_probs_from_logits, sum_responses
from llm_adapter.models import disable_dropout
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.memory import Setting, parts
from llm_adapter.training.trainer import PreferenceTrainer
from mi_estimators.display import Table, jsonl

HERE = Path(__file__).parent
FILE, PAGE = "gpu.jsonl", "gpu.md"
PEAK = 989e12  # FLOP/s of an H200 in bf16, dense
LIMIT = 150  # seconds of a stage, after which no further row is begun
SIZES = {
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16},
    "8b": {"hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32},
}
HEADS = {"num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256}
TINY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 500}
TINY |= {"num_attention_heads": 4, "num_key_value_heads": 2}
GROUPED = {**TINY, "head_dim": 16}
STYLES = {
    "llama": GROUPED,
    "qwen2": TINY,
    "mistral": GROUPED | {"sliding_window": 100},
    "gemma2": GROUPED | {"sliding_window": 100, "final_logit_softcapping": 5.0},
    "gpt_neox": {name: value for name, value in TINY.items() if "key_value" not in name},
}
LENGTHS = {"ultrafeedback": ((140, 700), (270, 700)), "long prompts": ((2000, 2400), (250, 400))}


def main(argv: list[str] | None = None) -> int:
    """Run the stages that are asked for; return 1 if a row shows an error that is too large."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.llm.gpu")
    parser.add_argument("--stage", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--tiny", action="store_true", help="small models, on the CPU")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--tables", action="store_true", help="measure nothing")
    options = parser.parse_args(argv)

    if not options.tables and not options.tiny and not torch.cuda.is_available():
        print(
            "benchmarks.llm.gpu: expected a GPU, got none (--tiny runs on the CPU)", file=sys.stderr
        )
        return 1

    options.out.mkdir(parents=True, exist_ok=True)
    path, wrong = options.out / FILE, 0
    for stage in () if options.tables else options.stage:
        began = time.monotonic()
        for row in STAGES[stage](options.tiny):
            row = {"stage": stage, "device": device_name(options.tiny)} | row
            rows = jsonl.read(path) if path.exists() else []
            jsonl.write(path, [*(other for other in rows if not same(row, other)), row])
            print(row, flush=True)
            wrong += row.get("ok") is False
            if time.monotonic() - began > LIMIT:
                print(f"{stage}: out of time, the remaining rows are left out", flush=True)
                break

    text = page(jsonl.read(path) if path.exists() else [])
    (options.out / PAGE).write_text(text, encoding="utf-8")
    print(text)

    return 1 if wrong else 0


def same(row: jsonl.Row, other: jsonl.Row) -> bool:
    """Return whether two rows are of one measurement."""
    return all(row[name] == other.get(name) for name in ("stage", "device", "what"))


def device_name(tiny: bool) -> str:
    """Return what the rows were measured on."""
    return "CPU, tiny models" if tiny else torch.cuda.get_device_name()


def device_of(tiny: bool) -> torch.device:
    """Return where a stage computes."""
    return torch.device("cpu" if tiny else "cuda")


# the stages


def exact(tiny: bool) -> Iterator[dict[str, Any]]:
    """Yield the largest errors of each path beside padded rows in float32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    device = device_of(tiny)
    yield {"what": "bf16 products with float32 output", "mixed": mixed_products(device.type)}

    for style, settings in STYLES.items():
        for negatives in (1, 2, 3, 4):
            examples = drawn(6, negatives, ((60, 120), (40, 100)), TINY["vocab_size"])
            expected = None
            ways = ("padded", *WAYS[device.type])
            if "sliding_window" in settings:  # of which a dense mask knows nothing: runs refuse it
                ways = ways[:-1]

            for way in ways:
                model = network(style, settings, device, eager=way == "padded")
                rows = collate(examples)
                if way != "padded":
                    use_way([model.config], way)
                    blocks = BLOCK if way == "flex" else 1
                    rows = collate_shared(examples, row_length=math.inf, multiple=blocks)

                try:
                    measured = values(model, rows, device)
                except Exception as error:  # a path that a model or a device refuses
                    text = " ".join(str(error).split())[:100]
                    yield {"what": f"{style}, K = {negatives}, {way}", "refused": text}
                    continue

                if expected is None:
                    expected = measured
                    continue

                errors = [
                    ((one - other).abs().max() / other.abs().max().clamp_min(1)).item()
                    for one, other in zip(measured, expected, strict=True)
                ]
                yield {
                    "what": f"{style}, K = {negatives}, {way}",
                    "log-probabilities": errors[0],
                    "gradients": max(errors[1:]),
                    "ok": max(errors) <= 1e-4,
                }

    yield from rounded(device)


def rounded(device: torch.device) -> Iterator[dict[str, Any]]:
    """Yield how far bf16 weights are from float32 ones with the same numbers, by our head and by the model's logits."""
    examples = drawn(6, 1, ((60, 120), (40, 100)), TINY["vocab_size"])
    model = network("llama", GROUPED, device).bfloat16()
    wide = network("llama", GROUPED, device)
    wide.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    batch = moved(collate(examples), device)

    with torch.no_grad():
        truth = log_probs_from_head(wide, batch)
        for name, function in (("head", log_probs_from_head), ("logits", log_probs_from_logits)):
            error = (function(model, batch) - truth).square().mean().sqrt().item()
            yield {"what": f"bf16 weights, by the {name}", "root mean square": error}


def training(size: str) -> Callable[[bool], Iterator[dict[str, Any]]]:
    """Return the stage that trains a model of this size."""

    def stage(tiny: bool) -> Iterator[dict[str, Any]]:
        lengths = {"tiny": ((40, 60), (20, 40))} if tiny else LENGTHS
        settings = TINY if tiny else SIZES[size] | HEADS
        ways = {"lean": "--memory lean --adam_states 8bit", "bf16": "--weights bf16"}
        if size == "1b":
            ways |= {"exact": "--bf16 true", "balanced": "--memory balanced --bf16 true"}

        for law, pair in lengths.items():
            for negatives in (1, 3):
                for name, flags in ways.items():
                    label = f"{law}, K = {negatives}, {name}"
                    yield {"what": label} | attempt(
                        lambda p=pair, k=negatives, f=flags: ours(settings, p, k, f, tiny)
                    )
            yield {"what": f"{law}, K = 1, TRL"} | attempt(lambda p=pair: trl(settings, p, tiny))

    return stage


def attempt(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a row, or why there is none: no memory, no package."""
    try:
        return action()
    except torch.OutOfMemoryError:
        return {"refused": "out of memory"}
    except (ImportError, ValueError, RuntimeError) as error:
        return {"refused": " ".join(str(error).split())[:160]}
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def ours(settings: dict, law: Any, negatives: int, flags: str, tiny: bool) -> dict[str, Any]:
    """Return the cost of our steps."""
    from llm_adapter.arguments.training import read_values

    device, steps, size = device_of(tiny), 6, 2 if tiny else 16
    examples = drawn(size * steps, negatives, law, settings["vocab_size"] - 1)
    with tempfile.TemporaryDirectory() as folder:
        command = f"--model builtin --output_dir {folder} --per_device_train_batch_size {size}"
        command += f" --max_steps {steps} --reference_cache none --save_strategy no --disable_tqdm"
        command += f" true --diagnostics_steps 0 --logging_steps {steps} --learning_rate 1e-6"
        command += " --gradient_checkpointing true" + (" --use_cpu true" if tiny else "")
        read_values(f"{command} {flags}".split())  # a mistyped flag is named before minutes pass
        args = parse_arguments(f"{command} {flags}".split())
        model = made(settings, torch.bfloat16 if args.weights == "bf16" else torch.float32, device)
        disable_dropout(model)
        trainer = PreferenceTrainer(model, args, examples, None, ByT5Tokenizer())
        meter = Clock()
        trainer.add_callback(meter)
        trainer.train()
        if trainer.stopped_by:  # it catches signals, to end after a step
            raise KeyboardInterrupt

    row = meter.row(examples, size, negatives, weights_of(model), tiny)
    tokens = max(
        sum(row.size for row in examples[i : i + size]) for i in range(0, len(examples), size)
    )
    names = ("weights", "rounding", "adam_states", "release_gradients", "gradient_checkpointing")
    setting = Setting(**{name: getattr(args, name) for name in names}, bf16=args.bf16)
    planned = parts(model.config, setting, tokens, negatives + 1, device.type)["peak"]
    row |= {"way": trainer.layout.way, "planned GiB": planned / 2**30}
    if not tiny:
        row["planner's error"] = planned / 2**30 / row["peak GiB"] - 1

    return row


def trl(settings: dict, law: Any, tiny: bool) -> dict[str, Any]:
    """Return the cost of TRL's steps: bf16 weights, 8-bit Adam where bitsandbytes is, precomputed references."""
    import importlib.util

    import trl as peer
    from datasets import Dataset

    device, steps, size = device_of(tiny), 6, 2 if tiny else 8
    tokenizer = ByT5Tokenizer()
    examples = drawn(size * steps, 1, law, 250)
    texts = [
        {
            "prompt": tokenizer.decode(row.prompt),
            "chosen": tokenizer.decode(row.completions[0]),
            "rejected": tokenizer.decode(row.completions[1]),
        }
        for row in examples
    ]

    eight = importlib.util.find_spec("bitsandbytes") is not None and not tiny
    with tempfile.TemporaryDirectory() as folder:
        args = peer.DPOConfig(  # pyright: ignore[reportPrivateImportUsage]
            output_dir=folder,
            loss_type=["nca_pair"],
            max_steps=steps,
            per_device_train_batch_size=size,
            max_length=4096,
            precompute_ref_log_probs=True,
            gradient_checkpointing=True,
            bf16=not tiny,
            use_cpu=tiny,
            optim="adamw_bnb_8bit" if eight else "adamw_torch_fused",
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )

        model = made(settings, torch.float32 if tiny else torch.bfloat16, device)
        trainer = peer.DPOTrainer(  # pyright: ignore[reportPrivateImportUsage]
            model, args=args, train_dataset=Dataset.from_list(texts), processing_class=tokenizer
        )
        meter = Clock()
        trainer.add_callback(meter)
        trainer.train()

    return meter.row(examples, size, 1, weights_of(model), tiny) | {"8-bit Adam": eight}


def estimate(tiny: bool) -> Iterator[dict[str, Any]]:
    """Yield an estimate on each device, and their difference."""
    import mi_estimators as mi

    rows = 300 if tiny else 4000
    law = mi.laws.Gaussian(0.8, 2)
    x, y = law.sample(rows, torch.Generator().manual_seed(0))

    nats: dict[str, float] = {}
    for name in ("cpu",) if tiny else ("cpu", "cuda"):
        began = time.perf_counter()
        context = torch.device(name) if name != "cpu" else nullcontext()
        with context:
            result = mi.estimate_mi(x.to(name), y.to(name), seed=0)

        nats[name] = result.nats
        truth = float(law.mutual_information)
        seconds = time.perf_counter() - began
        yield {
            "what": f"estimate_mi, {name}",
            "nats": result.nats,
            "truth": truth,
            "seconds": seconds,
        }

    if len(nats) == 2:
        gap = abs(nats["cuda"] - nats["cpu"])
        yield {"what": "estimate_mi, difference", "nats": gap, "ok": gap < 0.05}


STAGES: dict[str, Callable[[bool], Iterator[dict[str, Any]]]] = {
    "exact": exact,
    "1b": training("1b"),
    "8b": training("8b"),
    "estimate": estimate,
}


# what they share


def drawn(count: int, negatives: int, law: Any, vocabulary: int) -> list[TokenizedExample]:
    """Return examples of random tokens with log-normal lengths, always the same ones."""
    draw = random.Random(f"{count} {negatives} {law}")

    def text(part: tuple[int, int]) -> list[int]:
        middle, high = part
        length = middle * math.exp(draw.gauss(0, math.log(high / middle) / 1.645))
        return [draw.randrange(3, vocabulary) for _ in range(min(max(2, round(length)), 3 * high))]

    prompt, response = law
    return [
        TokenizedExample(line, text(prompt), tuple(text(response) for _ in range(negatives + 1)))
        for line in range(count)
    ]


def made(settings: dict, dtype: torch.dtype, device: torch.device) -> Any:
    """Return a Llama with random weights, made where it computes."""
    set_seed(0)
    config = LlamaConfig(**settings, max_position_embeddings=8192, tie_word_embeddings=False)
    with device:
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


def network(style: str, settings: dict, device: torch.device, eager: bool = False) -> Any:
    """Return a small model of a style, with weights large enough for the past to matter."""
    set_seed(0)
    options = {"attn_implementation": "eager"} if eager else {}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(style, **settings), **options)
    disable_dropout(model)

    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3 if weight.ndim > 1 else 1)

    return model.train().to(device)


def moved(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """Return a batch on a device."""
    return {name: value.to(device) for name, value in batch.items()}


def values(model: Any, batch: dict[str, torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Return the log-probabilities of a batch, and the gradients of a weighted sum."""
    batch = moved(batch, device)
    log_probs = log_probs_from_head(model, batch)
    sums = sum_responses(log_probs, batch["lengths"])
    (sums * torch.linspace(-1, 1, len(sums), device=device)).sum().backward()
    return [log_probs.detach(), *(weight.grad for weight in model.parameters())]


def weights_of(model: Any) -> int:
    """Return the number of weights that take part in products: all but the embedding."""
    total = sum(weight.numel() for weight in model.parameters())
    return total - model.get_input_embeddings().weight.numel()


class Clock(TrainerCallback):
    """Note when steps end, and the peak memory of the device."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_begin(self, args, state, control, **kwargs):
        """Start the clock."""
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._note()

    def on_step_end(self, args, state, control, **kwargs):
        """Note the end of a step."""
        self._note()

    def _note(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())

    def row(
        self, examples: list[TokenizedExample], size: int, negatives: int, weights: int, tiny: bool
    ) -> dict[str, Any]:
        """Return speed and memory; the first two steps warm up."""
        steps = list(zip(self.times[2:-1], self.times[3:], strict=True))
        seconds = sum(after - before for before, after in steps) / len(steps)
        timed = examples[2 * size : (2 + len(steps)) * size]
        real = sum(row.size for row in timed) / len(steps)
        row = {
            "pairs / s": size * negatives / seconds,
            "real tokens / s": real / seconds,
            "seconds a step": seconds,
        }

        if not tiny:
            row["MFU"] = 6 * weights * real / seconds / PEAK
            row["peak GiB"] = torch.cuda.max_memory_allocated() / 2**30

        return row


def page(rows: list[jsonl.Row]) -> str:
    """Return the tables of the stages; without rows of a GPU they say that nothing was measured."""
    lines = ["# On a GPU\n", "Written by `python -m benchmarks.llm.gpu`.\n"]
    if not any("tiny" not in row["device"] for row in rows):
        lines.append(
            "**Unmeasured.** No GPU was at hand: the rows below come from tiny models on a CPU and show only\n"
            "that the script runs and that its paths are exact there.\n"
        )

    for stage in STAGES:
        own = [row for row in rows if row["stage"] == stage]
        if not own:
            continue
        names = list(dict.fromkeys(name for row in own for name in row if name != "stage"))
        body = [[shown(row.get(name)) for name in names] for row in own]
        lines += [f"## {stage}\n", Table(names, body).markdown(), ""]

    return "\n".join(lines)


def shown(value: Any) -> str:
    """Return a value of a row as text."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
