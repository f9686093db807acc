"""One run of PreferenceTrainer, from the flags that `python -m llm_adapter.train` takes: `ours.py JOB.json`."""

from __future__ import annotations

import torch
from meter import SHARED, Meter, answer, read_job

from llm_adapter.arguments.fields import RECIPES
from llm_adapter.models import disable_dropout
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.run import read_data, read_model
from llm_adapter.training.trainer import PreferenceTrainer

CELLS = {"nca_pair": "js", "sigmoid": "dv"}  # TRL's names of MIO and DPO


def main() -> None:
    """Train as the job says."""
    job = read_job()
    flags = {
        "model": job["model"],
        "train_data": job["data"],
        "output_dir": job["out"],
        "bound": CELLS[job["loss_type"]],
        "row_layout": job["row_layout"],
        "token_cache": "none",
        "reference_cache": "none",
        **job["training"],
        **SHARED,
        **job.get("added", {}),
    }

    # Its flags are the run's, whatever both sides share
    recipe = RECIPES[flags.get("memory", "exact")]
    flags = {name: value for name, value in flags.items() if name not in recipe}
    args = parse_arguments([f"--{name}={value}" for name, value in flags.items()])
    tokenizer, data, _ = read_data(args)
    model = read_model(args)
    if job["dtype"] == "float64":  # otherwise the flags say the precision
        model = model.double()

    disable_dropout(model)
    trainer = PreferenceTrainer(model, args, data.examples, None, tokenizer)
    meter = Meter()
    trainer.add_callback(meter)
    trainer.train()
    answer(
        meter,
        trainer.state.log_history,
        version=f"torch {torch.__version__}",
        weights=str(model.dtype),
        checkpointing=model.is_gradient_checkpointing,
    )


if __name__ == "__main__":
    main()
