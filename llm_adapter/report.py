"""One HTML page of runs, from their files alone: python -m llm_adapter.report RUN [RUN …] [--out FILE.html].

Each curve of metrics.jsonl is drawn beside what theory says of it in run.json. Training writes the page of its own run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .arguments.command import run_command
from .arguments.flags import Flag, Parser
from .arguments.outputs import is_page, refuse_outputs

COMMAND = "llm_adapter.report"
EXAMPLES = """\
examples:
  python -m llm_adapter.report runs/builtin-js
      Write report.html for one run.
  python -m llm_adapter.report runs/dpo runs/mio --out both.html
      Compare two runs on one page.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(COMMAND, make, argv)


def make(argv: Sequence[str]) -> None:
    """Write the page of the runs that the command line names."""
    parser = Parser(
        COMMAND,
        {"": [Flag("out", default="report.html", help="Page to write.")]},
        usage=f"python -m {COMMAND} RUN [RUN ...] [--out FILE.html]",
        description="Plot the curves of training runs next to what theory predicts.",
        epilog=EXAMPLES,
    )

    parser.add_argument("runs", nargs="+", metavar="RUN", help="Folder of a run (its output_dir).")
    values = parser.read(argv)
    out = Path(values.get("out", "report.html"))
    refuse_outputs("out", {out: is_page}, {})

    from .training.page import write_report

    print(write_report(values["runs"], out))


if __name__ == "__main__":
    sys.exit(main())
