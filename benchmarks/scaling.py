"""CPU time of a fit against samples, modalities, parameters and epochs, as one figure.

``python benchmarks/scaling.py`` fits the joint estimator, InfoReg (open window, unimodal losses)
and the loop by hand of ``benchmarks/speed.py`` on one core, in turn, and takes the median of
``--repeats`` CPU times of each. It writes ``benchmarks/results/scaling.csv`` and ``scaling.png``;
``--plot`` draws the figure from the csv. A run takes less than 10 minutes.

Where nothing else is said: 3 modalities of 50 features, hidden 64, batches of 64, 4,000 samples,
3 epochs.
"""

import argparse
import csv
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from speed import ByHand, cpu_time, inforeg, joint, make_data, train_by_hand

RESULTS = Path(__file__).resolve().parent / "results"
PROGRAMS = {
    "InfoReg": lambda X, y, **settings: inforeg(X, y, standardize=False, **settings),
    "joint": lambda X, y, **settings: joint(X, y, standardize=False, **settings),
    "by hand": train_by_hand,
}
#: What varies (with the name of its axis), and how: arguments of the data and of the fit.
SWEEPS = {
    "samples": (
        "number of samples",
        [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000],
        lambda n: (dict(n_samples=n), dict(epochs=3)),
    ),
    "modalities": (
        "number of modalities",
        [2, 3, 4, 6, 8, 12],
        lambda n: (dict(n_modalities=n), dict(epochs=3)),
    ),
    "parameters": (
        "number of parameters (hidden 16 to 1,024)",
        [16, 32, 64, 128, 256, 512, 1024],
        lambda n: ({}, dict(hidden=n, epochs=3)),
    ),
    "epochs": (
        "number of epochs (500 samples)",
        [5, 10, 20, 50, 100, 300],
        lambda n: (dict(n_samples=500), dict(epochs=n)),
    ),
}
FIELDS = ["varied", "value", "axis", "program", "seconds", "fastest", "slowest"]
#: Colors that color-blind readers tell apart (Okabe and Ito), and markers for print.
STYLES = {"InfoReg": ("#D55E00", "o"), "joint": ("#0072B2", "s"), "by hand": ("#444444", "^")}


def n_parameters(X, y, hidden):
    net = ByHand([x.shape[1] for x in X.values()], hidden, int(y.max()) + 1)
    return sum(p.numel() for p in net.parameters())


def measure(repeats, only=""):
    """Rows of the csv."""
    rows = []
    for varied, (_, values, settings_of) in SWEEPS.items():
        if only not in varied:
            continue
        for value in values:
            data, settings = settings_of(value)
            settings = {"hidden": 64, **settings}
            X, y = make_data(**data)
            first = {**settings, "epochs": 1}
            for program in PROGRAMS.values():
                program(X, y, **first)
            spent = {name: [] for name in PROGRAMS}
            for i in range(repeats):
                names = list(PROGRAMS) if i % 2 == 0 else list(PROGRAMS)[::-1]
                for name in names:
                    spent[name].append(cpu_time(partial(PROGRAMS[name], X, y, **settings)))
            axis = n_parameters(X, y, settings["hidden"]) if varied == "parameters" else value
            for name, times in spent.items():
                seconds = float(np.median(times)), min(times), max(times)
                rows.append([varied, value, axis, name, *(f"{t:.4f}" for t in seconds)])
            shown = "  ".join(f"{name} {np.median(times):.3f} s" for name, times in spent.items())
            print(f"{varied} {value}: {shown}", flush=True)
    return rows


def draw(rows, path):
    """One figure of four panels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    plain = FuncFormatter(lambda value, _: f"{value:,.3g}" if value < 1 else f"{value:,.0f}")
    figure, axes = plt.subplots(2, 2, figsize=(8, 6.4), layout="constrained")
    for panel, (varied, (label, values, _)) in zip(axes.flat, SWEEPS.items()):
        for name, (color, marker) in STYLES.items():
            points = [r for r in rows if r[0] == varied and r[3] == name]
            x, y, low, high = (np.array([float(r[i]) for r in points]) for i in (2, 4, 5, 6))
            panel.plot(x, y, color=color, marker=marker, markersize=5, label=name)
            panel.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        panel.set(xscale="log", yscale="log", title=f"Against {varied}")
        panel.set(xlabel=label, ylabel="CPU time of a fit (s)")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(plain)
            axis.set_minor_locator(NullLocator())
        ticks = {"samples": values[::2], "parameters": [3000, 10_000, 30_000, 100_000]}
        shown = ticks.get(varied, values)
        panel.set_xticks(shown, [f"{value:,}" for value in shown])
        panel.grid(which="major", alpha=0.3)
    axes[0, 0].legend()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="sweeps whose name contains this; no figure")
    parser.add_argument("--plot", action="store_true", help="draw the figure from the csv")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    table = RESULTS / "scaling.csv"
    if not arguments.plot:
        rows = measure(arguments.repeats, arguments.only)
        if arguments.only:
            return
        with table.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([FIELDS, *rows])
    with table.open(newline="") as file:
        draw(list(csv.reader(file))[1:], RESULTS / "scaling.png")


if __name__ == "__main__":
    main()
