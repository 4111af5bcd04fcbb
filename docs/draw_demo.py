"""Draw the cost curves and print the demo's output into its page anew, from a fresh run: `make pictures`."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from allocation.jobs import charts
from allocation.jobs.demo import DemoPlan, run_demo
from allocation.jobs.summary import Summary
from allocation.jobs.terminal import print_result

HERE = Path(__file__).parent
PAGE = HERE / "demo.md"
BEGIN, END = "<!-- demo output -->\n```text\n", "```\n<!-- end of demo output -->"


def demo_output(run: Summary) -> str:
    """What `earmark demo` prints to a terminal of 100 columns."""
    console = Console(file=io.StringIO(), width=100, highlight=False, color_system=None)
    print_result(run, Path("earmark-demo") / "report.html", console)
    lines = console.file.getvalue().strip("\n").split("\n")  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def main() -> None:
    run = run_demo(DemoPlan()).summary()
    for theme in charts.THEMES:
        (HERE / f"cost-curve-{theme}.png").write_bytes(charts.png(charts.cost_curve(run, theme), scale=1.6))
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    PAGE.write_text(head + BEGIN + demo_output(run) + END + tail, encoding="utf-8")


if __name__ == "__main__":
    main()
