"""One DPOTrainer run of TRL, through its public interface: `peer_trl.py JOB.json`, in TRL's own environment."""

from __future__ import annotations

import torch
import trl
from datasets import load_dataset
from meter import SHARED, Meter, answer, read_job
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.kernels import chunked_logprob


def main() -> None:
    """Train as the job says."""
    job = read_job(chunked_logprob)
    args = trl.DPOConfig(
        output_dir=job["out"],
        loss_type=[job["loss_type"]],
        precompute_ref_log_probs=job["precomputed"],
        **job["training"],
        **(SHARED | job.get("added", {})),
    )

    trainer = trl.DPOTrainer(
        AutoModelForCausalLM.from_pretrained(job["model"], dtype=getattr(torch, job["dtype"])),
        args=args,
        train_dataset=load_dataset(
            "json", data_files=job["data"], split="train", cache_dir=f"{job['out']}/cache"
        ),
        processing_class=AutoTokenizer.from_pretrained(job["model"]),
    )

    meter = Meter()
    trainer.add_callback(meter)
    trainer.train()
    answer(
        meter,
        trainer.state.log_history,
        version=f"trl {trl.__version__}, torch {torch.__version__}",
    )


if __name__ == "__main__":
    main()
