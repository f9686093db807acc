"""Fine-tune a causal LM by a preference loss: python -m llm_adapter.train [--config FILE.yaml] [--FLAG VALUE ...].

Without arguments it trains the small built-in model on the shipped pairs, on a CPU, offline. Mistakes of a user are
found before the model is loaded and before anything is written: one line, exit status 2. A run that must not continue
(the first loss differs from theory, a number is not finite) stops with one line and exit status 1.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from .arguments.command import command_line, complain
from .arguments.training import COMMAND, read_values
from .data.load import refuse_unreadable

MEMORY = (
    "Try --gradient_checkpointing true, a smaller --per_device_train_batch_size with more "
    "--gradient_accumulation_steps, a smaller --max_length, or --lora_rank 16"
)

NEXT = (
    "next: open the report; train the same pairs with another loss (--bound dv --output_dir OTHER is DPO), "
    "then compare: python -m llm_adapter.report RUN OTHER"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        values = read_values(argv)
        for name in ("train_data", "eval_data"):
            if values.get(name):
                refuse_unreadable(values[name])

        from mi_estimators.extras import need  # torch and transformers: seconds

        need("llm")  # all of it: the report that ends a long run needs matplotlib
        from .training.arguments import make_arguments
        from .training.run import Run

        run = Run(make_arguments(values), command_line(COMMAND, argv))
    except (ValueError, ImportError, OSError) as error:  # wrong, not installed, not there
        complain(COMMAND, error)
        return 2
    except KeyboardInterrupt:
        complain(COMMAND, "before the first step", "stopped")
        return 128 + signal.SIGINT

    from torch import OutOfMemoryError

    from mi_estimators.display.runs import read_run

    from .training.page import verdict, write_report
    from .training.trainer import RunFailed

    try:
        if output := run.train():
            print(verdict(read_run(output)))
            print(f"Report: {write_report([output], output / 'report.html')}")
            print(NEXT)
    except (RunFailed, ImportError, ValueError, OSError) as error:
        complain(COMMAND, error, "stopped")
        return 1
    except OutOfMemoryError as error:
        complain(COMMAND, f"out of memory ({error}). {MEMORY}", "stopped")
        return 1
    except KeyboardInterrupt:
        complain(COMMAND, "without a checkpoint", "stopped")
        return 128 + signal.SIGINT

    stopped_by = run.trainer.stopped_by
    return 128 + stopped_by if stopped_by else 0


if __name__ == "__main__":
    sys.exit(main())
