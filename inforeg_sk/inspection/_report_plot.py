"""A report as a figure."""

import numpy as np

from ._axes import make_axes, require_matplotlib
from ._style import score_label

__all__ = ["draw"]

# Measure, name in the legend, marker; grey levels differ in print too.
_MARKS = (
    ("in_joint", "in joint", "s", "0.0"),
    ("probe_untrained", "probe, untrained", "v", "0.6"),
    ("probe_joint", "probe, as given", "o", "0.0"),
    ("probe_alone", "probe, trained alone", "^", "0.35"),
    ("alone", "alone", "D", "0.35"),
)


def draw(report, ax=None):
    """Draw the measures of each modality as marks with intervals.

    Parameters
    ----------
    report : DiagnosisReport
    ax : matplotlib Axes, default=None

    Returns
    -------
    matplotlib Axes
    """
    require_matplotlib("DiagnosisReport.plot")
    ax, _ = make_axes(ax, None)
    scale = 100 if report.data["percent"] else 1
    names = report.modalities_
    places = np.arange(len(names), dtype=float)
    for i, (what, label, marker, color) in enumerate(_MARKS):
        told = [report.measure(what, name) for name in names]
        middle = scale * np.array([float(t.estimate) for t in told])
        ends = scale * np.array([(t.estimate - t.low, t.high - t.estimate) for t in told])
        shift = 0.14 * (i - (len(_MARKS) - 1) / 2)
        filled = color if what in ("in_joint", "probe_joint") else "white"
        ax.errorbar(
            places + shift,
            middle,
            ends.T.clip(min=0),
            fmt=marker,
            color=color,
            markerfacecolor=filled,
            capsize=3,
            linewidth=1,
            label=label,
        )
    for k, name in enumerate(names):
        guess = scale * float(report.measure("baseline", name).estimate)
        ax.plot(
            [k - 0.42, k + 0.42],
            [guess, guess],
            ":",
            color="0.4",
            linewidth=1,
            label="guessing" if k == 0 else None,
        )
    rows = {report.data["given"]: "-", report.recommended_: "--"}
    for row, style in rows.items():
        value = scale * float(report.score(row).estimate)
        ax.axhline(value, color="0.2", linestyle=style, linewidth=1, label=f"all: {row}")
    ax.set_xticks(places, names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    unit = " (%)" if report.data["percent"] else ""
    ax.set(xlabel="modality", ylabel=f"{score_label(report.data['scoring'])}{unit}")
    n = report.data["n_samples"]
    n_seeds = len(report.data["seeds"])
    folds = f"{report.data['n_folds']} folds x {n_seeds} seeds, 95 % intervals"
    if report.one_split:
        tested = f"{report.design.n_samples:,} {report.design.unit}"
        folds = f"one split, {tested}, seeds: {n_seeds}, 95 % bootstrap intervals"
    ax.set_title(f"n = {n:,}, {folds}", fontsize="small")
    ax.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return ax
