"""Prints both sides of each table beside each other.

usage: report.py FOLDER TABLE...
"""

import json
import os
import sys

HEAD = (
    "| table | side | precision at the gate (95 % interval) | recall | recall at precision .99 "
    "| closed F1 | B-cubed | largest | blocking recall | candidates | CPU s | peak MB |"
)


def read(*parts):
    with open(os.path.join(*parts)) as file:
        return json.load(file)


def usage(folder, side):
    """Seconds of CPU, with training, and the larger peak."""
    if side == "splink":
        run = read(folder, "splink", "run.json")
        return run["cpu_s"], run["rss_bytes"]
    steps = [read(folder, f"{step}.usage") for step in ("train", "run")]
    return sum(step["cpu_s"] for step in steps), max(step["rss_bytes"] for step in steps)


def row(folder, table, side):
    found = read(folder, f"{side}.evaluation.json")
    gate, clusters = found["automatic"], found["clusters"]
    cpu_s, rss_bytes = usage(folder, side)
    cells = [
        table,
        side,
        f"{gate['precision']:.4f} ({gate['precision_low']:.4f} to {gate['precision_high']:.4f})",
        f"{gate['recall']:.4f}",
        f"{found['recall_at_precision_99']:.4f}",
        f"{clusters['f1']:.4f}",
        f"{clusters['b_cubed_f1']:.4f}",
        f"{clusters['largest']}",
        "" if found["blocking_recall"] is None else f"{found['blocking_recall']:.4f}",
        f"{found['candidates']}",
        f"{cpu_s:.1f}",
        f"{rss_bytes / 1e6:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main():
    folder, tables = sys.argv[1], sys.argv[2:]
    print(HEAD)
    print("|" + "---|" * (HEAD.count("|") - 1))
    for table in tables:
        for side in ("splink", "opshub"):
            print(row(os.path.join(folder, table), table, side))


if __name__ == "__main__":
    main()
