"""A report as HTML: one block without scripts or files, for light and dark notebooks."""

import base64
import io
import warnings
from html import escape
from importlib.util import find_spec
from string import Template

from ._report_plot import draw
from ._report_text import basis, recommended, tables

__all__ = ["as_html", "as_page"]

_WHOLE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
</head>
<body>
$body
</body>
</html>"""
)

_PAGE = Template(
    """<div class="inforeg-diagnosis" style="color:inherit;background:transparent;\
font-family:system-ui,sans-serif;font-size:14px;line-height:1.45;max-width:70em">
<p style="font-size:1.25em;font-weight:600;margin:0.4em 0">Diagnosis</p>
<ul style="margin:0.4em 0;padding-left:1.4em">$verdicts</ul>
<p style="margin:0.6em 0"><strong>Recommended:</strong> $recommended</p>
$tables
<p style="margin:0.6em 0;opacity:0.8;font-size:0.9em">$basis</p>
</div>"""
)
_BAR = "scrollbar-width:thin;scrollbar-color:rgba(128,128,128,0.6) transparent"
_LINE = "border-bottom:1px solid rgba(128,128,128,0.4)"


def as_html(report):
    """A report as HTML (str)."""
    verdicts = "".join(f"<li>{_text(verdict.sentence)}</li>" for verdict in report.verdicts_)
    verdicts += "".join(f"<li>Note: {_text(note)}</li>" for note in report.notes_)
    row = report.recommended_
    (title, (heads, rows)), *others = tables(report)
    # Beside the name, where a narrow window shows it.
    named = [[f"{name} ({mark})" if mark else name, *cells] for name, *cells, mark in rows]
    marked = next(new[0] for new, old in zip(named, rows, strict=True) if old[0] == row)
    made = _table(title, heads[:-1], named, marked)
    made += "".join(_table(title, *table, None) for title, table in others)
    return _PAGE.substitute(
        verdicts=verdicts or "<li>Nothing can be told.</li>",
        recommended=_text(recommended(report)),
        tables=made,
        basis="<br>".join(_text(text) for text in basis(report)),
    )


def as_page(report, title):
    """A report as a page of its own, with a figure where matplotlib is installed (str)."""
    body = as_html(report)
    if find_spec("matplotlib") is not None:
        try:
            body += f"\n{_figure(report)}"
        except Exception as error:  # the report is worth more than its figure
            warnings.warn(f"The figure of the report is left out: {error}", stacklevel=3)
    return _WHOLE.substitute(title=escape(title), body=body)


def _figure(report):
    """The figure of a report inside the page, so that this stays one file (str)."""
    import matplotlib
    from matplotlib.figure import Figure  # pyplot would keep it

    width, file = max(6.0, 1.6 * len(report.modalities_) + 3), io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a dark style would draw white on white
        figure = Figure(figsize=(width, 4.2), layout="constrained")
        draw(report, figure.subplots())
        figure.savefig(file, format="png", dpi=120, facecolor="white")
    data = base64.b64encode(file.getvalue()).decode("ascii")
    alt = "Scores of each modality inside the network, by probes, and alone, as in the table."
    style = "max-width:100%;height:auto;background:white"
    return f'<p><img alt="{alt}" style="{style}" src="data:image/png;base64,{data}"></p>'


def _table(title, heads, rows, marked):
    cell = f"padding:0.15em 0.7em;text-align:right;white-space:nowrap;{_LINE}"
    first = f"padding:0.15em 0.7em 0.15em 0;text-align:left;white-space:nowrap;{_LINE}"
    head = "".join(
        f'<th scope="col" style="{first if i == 0 else cell};font-weight:600">{_head(text)}</th>'
        for i, text in enumerate(heads)
    )
    body = ""
    for name, *others in rows:
        weight = ";font-weight:600" if name == marked else ""
        cells = "".join(f'<td style="{cell}{weight}">{escape(text)}</td>' for text in others)
        start = f'<th scope="row" style="{first};font-weight:{600 if weight else 400}">'
        body += f"<tr>{start}{escape(name)}</th>{cells}</tr>"
    # A keyboard, too, can scroll what is too wide for a window; the title stays in sight.
    return (
        f'<p style="margin:1em 0 0.2em;font-weight:600">{_text(title)}</p>'
        f'<div style="overflow-x:auto;{_BAR}" tabindex="0" role="region" '
        f'aria-label="{escape(title)}">'
        '<table style="border-collapse:collapse;color:inherit;background:transparent;'
        'font-size:inherit;font-variant-numeric:tabular-nums;margin:0 0 0.6em">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(text):
    return "<br>".join(map(escape, text.split("\n")))


def _text(text):
    """Escaped, with numbers and their unit in one line."""
    return escape(text).replace(" %", "&nbsp;%").replace(" points", "&nbsp;points")
