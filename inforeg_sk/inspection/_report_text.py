"""A report as text: verdicts, two tables, and what it rests on."""

import textwrap

import numpy as np

from ..utils.words import counted
from ._style import score_label
from ._words import folds_told

__all__ = ["as_text", "basis", "interval_kind", "modality_table", "row_table"]

_WIDTH = 100


def as_text(report):
    """A report in at most about 40 lines (str)."""
    lines = ["Diagnosis", "========="]
    for verdict in report.verdicts_:
        lines += textwrap.wrap(f"- {verdict.sentence}", _WIDTH, subsequent_indent="  ")
    for note in report.notes_:
        lines += textwrap.wrap(f"- Note: {note}", _WIDTH, subsequent_indent="  ")
    lines += textwrap.wrap(f"Recommended: {recommended(report)}", _WIDTH, subsequent_indent="  ")
    for title, (heads, rows) in tables(report):
        lines += ["", title, *_aligned(heads, rows)]
    lines += [""]
    for text in basis(report):
        lines += textwrap.wrap(text, _WIDTH, subsequent_indent="  ")
    return "\n".join(lines)


def recommended(report):
    """The recommended row, why it is recommended, and what was not compared (str)."""
    row = report.recommended_
    text = f"{row} ({report.data['rows'][row]['text']}). {report.why_recommended}"
    left = report.data["left_out"]
    return f"{text} Not compared (rivals=): {', '.join(left)}." if left else text


def tables(report):
    """Title and table of each (list of tuple)."""
    means = "one split, means over seeds" if report.one_split else "means over folds and seeds"
    what = score_label(report.data["scoring"]) + (" in %" if report.data["percent"] else "")
    return [
        (f"Compared ({what}, held-out samples; 95 % intervals)", row_table(report)),
        (f"Modalities ({means}; 95 % intervals)", modality_table(report)),
    ]


def row_table(report):
    """Heads and rows of what was compared, the best first.

    Returns
    -------
    heads : list of str
    rows : list of list of str
    """
    words, given = report.wording, report.data["given"]
    rows = []
    for name in sorted(report.scores_, key=lambda row: -np.mean(report.scores_[row])):
        told = report.score(name)
        gain, sure = "", ""
        if name != given:
            more = report.gain(name)
            gain, sure = _signed(words, float(more.estimate)), words.interval(more, signed=True)
        mark = "recommended" if name == report.recommended_ else ""
        mark = f"as given{', ' if mark else ''}{mark}" if name == given else mark
        score = words.number(float(told.estimate))
        rows.append([name, score, words.interval(told, of_score=True), gain, sure, mark])
    return ["", "score", "interval", "gain", "interval", ""], rows


def modality_table(report):
    """Heads and rows of the modalities, as `row_table`."""
    words, rows = report.wording, []
    for name in report.modalities_:
        row = [name, f"{report.data['presence'][name][name]:,}"]
        for what in ("baseline", "alone", "in_joint"):
            row.append(words.number(float(report.measure(what, name).estimate)))
        probes = [
            words.number(float(report.measure(f"probe_{what}", name).estimate))
            for what in ("untrained", "joint", "alone")
        ]
        row += probes
        share = report.learned_share(name)
        if np.isfinite(share.estimate):
            row.append(f"{100 * float(share.estimate):.0f} % ({words.share_interval(share)})")
        else:
            good = report.nothing_to_learn(name)
            row.append("untrained is as good" if good else "not told")
        told = report.measure("permutation_drop", name)
        row.append(f"{words.number(float(told.estimate))} ({words.interval(told)})")
        row.append(words.number(float(report.measure("shapley", name).estimate)))
        rows.append(row)
    probes = [f"probe:\n{of}" for of in ("untrained", "joint", "alone")]
    heads = ["", "n", "guess", "alone", "in joint", *probes, "learned share"]
    return [*heads, "shuffled:\nfalls by", "Shapley"], rows


def basis(report):
    """What the numbers rest on (list of str)."""
    data = report.data
    n = f"{data['n_samples']:,} samples"
    n += "" if data["n_groups"] is None else f" in {data['n_groups']:,} groups"
    n += "" if data["n_classes"] is None else f", {data['n_classes']} classes"
    folds = folds_told(data["n_folds"], len(data["seeds"]), data["same_folds"])
    texts = [
        f"{n}; {folds}. {_balance(data)}{_training(data)}"
        "Probes: linear models on the features of an encoder untrained (P0), in the joint network "
        "as given (PJ), trained alone (PA); learned share (PJ - P0) / (PA - P0). Intervals: "
        f"{interval_kind(report)}; verdicts use wider ones, since there are several (Holm)."
    ]
    if np.isfinite(data["joint_block"]).any():
        loss = "log-loss" if data["n_classes"] is not None else "squared error"
        value = np.nanmean(data["joint_block"])
        texts.append(f"Without its joint block the evidence pool's {loss} changes by {value:+.3g}.")
    if data["n_complete"] < data["n_samples"]:
        pairs = [
            f"{a} and {b} {data['presence'][a][b]:,}"
            for i, a in enumerate(report.modalities_)
            for b in report.modalities_[i + 1 :]
        ]
        texts.append(
            f"Samples that have {', '.join(pairs)}; all modalities {data['n_complete']:,}. "
            f"On these {_on_common(report)}."
        )
    for name, error in data["failed"].items():
        texts.append(f"Failed: {name}: {_short(error)}")
    if data["warnings"]:
        kinds = list(data["warnings"].items())
        shown = [f"{counted(n, 'time')}: {' '.join(text.split())}" for text, n in kinds[:2]]
        if len(kinds) > 2:
            shown.append(f"{counted(len(kinds) - 2, 'other kind')} in report.data['warnings']")
        texts.append(f"Warnings of single fits, of some folds only: {'; '.join(shown)}")
    return texts


def interval_kind(report):
    """How the intervals are made (str)."""
    if not report.one_split:
        return "corrected resampled t"
    return (
        f"bootstrap over {report.design.n_samples:,} {report.design.unit}, one split: it does not "
        "hold the chance of the training part"
    )


def _balance(data):
    """Classes of which one is rare, and what to do about it."""
    counts = data["class_counts"]
    if not counts or min(counts) * len(counts) >= 0.5 * sum(counts):
        return ""
    some = f"of {min(counts):,} to {max(counts):,} samples"
    some = ", ".join(map(str, counts)) if len(counts) <= 8 else some
    consider = "; consider balanced_accuracy" if data["scoring"] == "accuracy" else ""
    return f"Classes {some}: unbalanced{consider}. "


def _training(data):
    """How the network as given was trained."""
    told = data["training"]
    if not told:
        return ""
    return f"Network: {told['optimizer']}, lr {told['lr']}, {told['max_epochs']} epochs. "


def _on_common(report):
    """Scores on the samples that have all modalities."""
    words = report.wording
    told = [f"{report.data['given']} {words.number(np.nanmean(report.data['on_common']))}"]
    for name in report.modalities_:
        alone = float(report.measure("alone_common", name).estimate)
        told.append(f"{name} alone {words.number(alone)}")
    return ", ".join(told)


def _short(text):
    text = " ".join(text.split())
    return text if len(text) <= 160 else f"{text[:157]}..."


def _signed(words, value):
    text = words.number(value)
    return text if text.startswith("-") else f"+{text}"


def _aligned(heads, rows):
    """Lines of a table; a head may have two lines, of which the lower one is always there."""
    heads = [text.rpartition("\n")[::2] if "\n" in text else ("", text) for text in heads]
    upper, lower = ([head[i] for head in heads] for i in (0, 1))
    rows = [*([upper] if any(upper) else []), lower, *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        padded = [first.ljust(widths[0])]
        for text, width in zip(others, widths[1:], strict=True):
            padded.append(text.ljust(width) if text.isalpha() or "," in text else text.rjust(width))
        lines.append("  ".join(padded).rstrip())
    return lines
