"""Try at start-up what a run needs later: its optimiser and schedule, the metric that it compares, and what it saves.

A run of hours should not end with a message about a setting that was wrong from the beginning.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, Trainer, get_scheduler
from transformers.utils.import_utils import is_liger_kernel_available

from ..arguments.command import complain
from ..arguments.training import COMMAND
from ..loss.metrics import window_metrics, window_sums
from ..loss.objective import Objective
from ..models import CausalLM
from . import precision
from .arguments import PreferenceArguments
from .sharding import together

STATES = 2  # numbers that AdamW keeps for each weight


def rehearse(args: PreferenceArguments, model: CausalLM, tokenizer) -> None:
    """Try what a run needs after its last step, and mend a generation config that could not be saved.

    Raises:
        ValueError: a metric that no evaluation logs, an optimiser or a schedule that cannot be made, a model or a
            tokenizer that cannot be saved.
    """
    _check_metric(args)
    _check_schedule(args)
    if not precision.optimizer(args):
        _attempt("optim", lambda: Trainer.get_optimizer_cls_and_kwargs(args, model), args.optim)

    if args.use_liger_kernel and not is_liger_kernel_available():
        raise ValueError(
            "use_liger_kernel: expected the package liger-kernel, got none (pip install liger-kernel)"
        )

    if args.save_final_model or args.save_strategy != "no":
        mended = mend_generation_config(model)
        if mended and args.process_index == 0:
            complain(COMMAND, mended, "warning")
        # another process may not have the weights of an adapter
        together(lambda: args.process_index or try_to_save(args.model, model, tokenizer), args)
        if args.process_index == 0:
            _warn_of_little_room(args, model)


def _attempt(name: str, action: Callable[[], object], value: object) -> None:
    """Call `action`; name its field in one line if it fails."""
    try:
        action()
    except Exception as error:  # packages that are missing, arguments that they do not take
        raise ValueError(f"{name}: expected one that works, got {value} ({error})") from None


def _check_metric(args: PreferenceArguments) -> None:
    wanted = args.metric_for_best_model
    if wanted is None:
        return

    names = logged_names(args.objective())
    plain = wanted.removeprefix("eval_")
    if plain not in names:
        close = difflib.get_close_matches(plain, names, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(
            f"metric_for_best_model: expected one of {', '.join(names)}, got {wanted}{hint}"
        )


def logged_names(objective: Objective) -> list[str]:
    """Return the names that an evaluation logs, from a batch of one pair."""
    batch = {"negatives": torch.ones(1, 1, dtype=torch.bool), "lengths": torch.ones(2)}
    sums = window_sums(objective, torch.zeros(2), (torch.zeros(1), torch.zeros(1, 1)), batch)
    return list(window_metrics(objective, {name: float(value) for name, value in sums.items()}))


def _check_schedule(args: PreferenceArguments) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    options = {"num_warmup_steps": 1, "num_training_steps": 10}
    settings: Any = args.lr_scheduler_kwargs  # a dict: transformers has read the text by now
    _attempt(
        "lr_scheduler_kwargs" if settings else "lr_scheduler_type",
        lambda: get_scheduler(
            args.lr_scheduler_type, optimizer, **options, scheduler_specific_kwargs=settings
        ),
        settings or args.lr_scheduler_type,
    )


def mend_generation_config(model: CausalLM) -> str:
    """Make the model's generation config one that can be saved; return what was changed, or nothing.

    Some published models sample by their temperature and say that they do not sample; transformers reads such a config
    and refuses to write it.
    """
    config = getattr(model, "generation_config", None)
    refusal = _refusal(config)
    if not refusal:
        return ""

    assert config is not None  # as it was refused
    before, config.do_sample = config.do_sample, True
    change = f"do_sample was {before}, is True"
    if _refusal(config):
        model.generation_config = GenerationConfig.from_model_config(model.config)
        change = "it is now made of the model's config"

    return f"generation_config: expected one that can be saved, got: {refusal}; {change}"


def _refusal(config: GenerationConfig | None) -> str:
    if config is None:
        return ""

    try:
        config.validate(strict=True)  # as it is saved once the trainer has set its special tokens
    except ValueError as error:
        return " ".join(str(error).split())[:200]

    return ""


def try_to_save(name: str, model: CausalLM, tokenizer) -> None:
    """Save the named model's configs and its tokenizer in a folder that vanishes.

    Raises:
        ValueError: one that cannot be saved.
    """
    with tempfile.TemporaryDirectory() as folder:
        _attempt("model", lambda: _save(model, folder), name)
        _attempt("model", lambda: tokenizer.save_pretrained(folder), name)


def _save(model: CausalLM, folder: str) -> None:
    """Save all but the weights of a model; those of adapters are small and saved, too."""
    if hasattr(model, "peft_config"):
        model.save_pretrained(folder)
    else:
        model.save_pretrained(folder, state_dict={"none": torch.zeros(1)})


def _warn_of_little_room(args: PreferenceArguments, model: nn.Module) -> None:
    """Warn if the disk has less room than the model and one checkpoint need."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    needed = sum(weight.numel() * weight.element_size() for weight in trained)
    if args.save_strategy != "no":
        needed *= 2 + STATES

    folder = Path(args.output_dir or ".").absolute()
    while not folder.exists():
        folder = folder.parent

    free = shutil.disk_usage(folder).free
    if free < needed:
        complain(
            COMMAND,
            f"output_dir: expected {needed / 2**30:.1f} GiB of free disk for what is saved, got "
            f"{free / 2**30:.1f} in {folder}",
            "warning",
        )
