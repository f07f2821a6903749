"""A report as a figure."""

import numpy as np

from ._axes import make_axes, require_matplotlib
from ._style import limits_of, score_label
from ._words import folds_told

__all__ = ["draw"]

# Measure, name in the legend, marker, color of its edge, and color inside: those that are compared
# most differ in form and in whether they are filled, not in color alone.
_MARKS = (
    ("in_joint", "in joint", "s", "0.0", "0.0"),
    ("probe_untrained", "probe, untrained", "x", "0.5", "0.5"),
    ("probe_joint", "probe, as given", "o", "0.0", "white"),
    ("probe_alone", "probe, trained alone", "^", "0.0", "white"),
    ("alone", "alone", "D", "0.45", "0.45"),
)
_STEP = 0.14
_STARVES = ("starving encoder", "neglecting head")


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
    limits = limits_of(report.data["scoring"])
    for i, (what, label, marker, color, inside) in enumerate(_MARKS):
        told = [report.measure(what, name) for name in names]
        middle = scale * np.array([float(t.estimate) for t in told])
        low, high = (np.array([getattr(t, end) for t in told]) for end in ("low", "high"))
        if all(t.df <= 1 for t in told):  # an interval of two differences says nothing
            low, high = (np.full(len(told), np.nan) for _ in range(2))
        low, high = (scale * np.clip(end, *limits) for end in (low, high))
        ax.errorbar(
            places + _shift(i),
            middle,
            np.clip([middle - low, high - middle], 0, None),
            fmt=marker,
            color=color,
            markerfacecolor=inside,
            markersize=6,
            capsize=3,
            linewidth=1,
            label=label,
        )
    _draw_gaps(report, ax, scale)
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
        ax.axhline(value, color="0.2", linestyle=style, linewidth=1, label=_plain(f"all: {row}"))
    ax.set_xticks(places, map(_plain, names))
    ax.set_xlim(-0.6, len(names) - 0.4)
    unit = " (%)" if report.data["percent"] else ""
    ax.set(xlabel="modality", ylabel=f"{score_label(report.data['scoring'])}{unit}")
    folds = folds_told(report.data["n_folds"], len(report.data["seeds"]))
    kind = "95 % intervals"
    if report.one_split:
        kind = f"{report.design.n_samples:,} {report.design.unit}, 95 % bootstrap intervals"
    ax.set_title(f"n = {report.data['n_samples']:,}, {folds}, {kind}", fontsize="small")
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return ax


def _plain(text):
    """A name as it is: matplotlib would read formulas between dollars."""
    return text.replace("$", r"\$")


def _shift(i):
    """Where a mark is beside the middle of its group."""
    return _STEP * (i - (len(_MARKS) - 1) / 2)


def _draw_gaps(report, ax, scale):
    """Join what a modality scores in joint and alone, where a verdict says that it starves."""
    starved = {v.modality for v in report.verdicts_ if v.kind in _STARVES}
    label = "gap of a verdict"
    for k, name in enumerate(report.modalities_):
        if name not in starved:
            continue
        ends = [scale * float(report.measure(of, name).estimate) for of in ("in_joint", "alone")]
        places = [k + _shift(0), k + _shift(len(_MARKS) - 1)]
        ax.plot(places, ends, "-", color="0.0", linewidth=2, alpha=0.6, zorder=1, label=label)
        label = None
