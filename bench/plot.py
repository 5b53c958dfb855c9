"""Draws the ratios of build/bench.json as bars, each with its goal.

    bench/plot.py BENCH.json OUT.png

Rows of which less is better (requests, memory, latency) are in the table only.
"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plot  # noqa: E402


def draw(rows, title, out):
    rows = [row for row in rows if row["goal"].startswith(">= ")][::-1]
    if not rows:
        return
    figure, axes = plot.subplots(figsize=(11, 1.2 + 0.34 * len(rows)))
    for at, row in enumerate(rows):
        axes.barh(at, row["ratio"], color="#4477aa" if row["met"] else "#cc6677")
        goal = float(row["goal"].split()[1])
        axes.plot([goal, goal], [at - 0.45, at + 0.45], color="black", linewidth=1.5)
        axes.text(row["ratio"], at, f" {row['ratio']:.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [
        f"{row['name']}\nagainst {row['against_unit'].partition(', ')[2] or row['against_unit']}"
        for row in rows], fontsize=7)
    axes.set_xscale("log")
    axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50], minor=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xlim(left=min(0.1, *(row["ratio"] for row in rows)) / 1.2,
                  right=2 * max(1, *(row["ratio"] for row in rows)))
    axes.set_xlabel("measured / against (the black line is the goal; red falls short)")
    axes.set_title(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main():
    source, out = map(pathlib.Path, sys.argv[1:])
    bench = json.loads(source.read_text())
    draw(bench["figures"], f"commit {bench['commit']}, {bench['machine']}", out)


if __name__ == "__main__":
    main()
