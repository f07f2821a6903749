"""The command line: ``python -m inforeg_sk diagnose``."""

import argparse
import sys
import textwrap
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from ..classifier import MultimodalClassifier
from ..methods import METHODS
from ..regressor import MultimodalRegressor
from ..utils.suggestions import did_you_mean
from ._compared import RIVALS, compared_networks
from ._diagnose import diagnose
from .command_data import CommandError, infer_task, read_data

__all__ = ["main"]

_NAMED = (*METHODS, "joint*", "mlp", "concat")
_FORMATS = ("text", "html", "json")
_SUFFIXES = {".html": "html", ".htm": "html", ".json": "json"}
_EXAMPLES = """examples:
  python -m inforeg_sk diagnose data.npz
      all arrays of two axes or more are modalities, y is the target
  python -m inforeg_sk diagnose data.npz --modality audio --modality video --groups speaker
  python -m inforeg_sk diagnose data.csv --target label --modality audio=pitch,energy \\
      --modality 'text=text_*' --output report.html
      columns by name, by pattern, or by position: text=0:300
  python -m inforeg_sk diagnose data.npz --rivals '-evidence pool' --output a.html --output a.json
      all rivals but one; the report is printed as text, and written as HTML and JSON

--methods takes: {methods}
--rivals takes: {rivals}
Names behind - are left out of the default, as in --methods=-mlp.

The networks have the defaults of MultimodalClassifier or MultimodalRegressor, but for --max-epochs;
the optimizer, lr and all else are set in Python:
inforeg_sk.diagnose(MultimodalClassifier(lr=0.01), X, y)
"""


def main(argv=None, *, run=diagnose):
    """Run the command.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None takes those of the process.
    run : callable, default=diagnose
        What makes the report.

    Returns
    -------
    int
        Exit status: 0, 2 if what was given cannot be used, or 130 if it was interrupted.
    """
    options = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        _diagnose(options, run)
    except (CommandError, TypeError, ValueError, ImportError, OSError) as error:
        if options.traceback and not isinstance(error, CommandError):
            raise
        print(f"python -m inforeg_sk diagnose: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("python -m inforeg_sk diagnose: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m inforeg_sk",
        description="Multimodal learning with balanced modalities.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    add = commands.add_parser(
        "diagnose",
        help="is a modality starving, how badly, and what fixes it?",
        description="Is a modality starving, how badly, and what fixes it? Trains networks over "
        "folds and\nseeds, and compares them with simpler models; see inforeg_sk.diagnose.",
        epilog=_EXAMPLES.format(methods=_wrapped(_NAMED), rivals=_wrapped(RIVALS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    ).add_argument
    add("data", help="an npz file of arrays, or a csv or tsv file whose first line has names")
    add("--target", default="y", metavar="NAME", help="array or column to predict (default: y)")
    add("--groups", metavar="NAME", help="array or column of groups that no fold cuts")
    add(
        "--modality",
        action="append",
        default=[],
        metavar="NAME=COLUMNS",
        help="once for each modality; of an npz file NAME or NAME=ARRAY",
    )
    add("--task", choices=("classification", "regression"), help="default: what the target is")
    add("--cv", type=int, default=5, metavar="N", help="folds (default: 5)")
    add("--seeds", type=int, default=3, metavar="N", help="seeds of all networks (default: 3)")
    add("--scoring", metavar="NAME", help="a scikit-learn scorer (default: accuracy, or R squared)")
    add("--max-epochs", type=int, metavar="N", help="epochs of each network")
    add(
        "--methods",
        metavar="A,B",
        help="methods to compare with, such as joint*,inforeg; -A: not A",
    )
    add(
        "--rivals",
        metavar="A,B",
        help="rows beside the networks, such as 'majority,late fusion', or '-evidence pool' for "
        "all but this",
    )
    add("--n-jobs", type=int, metavar="N", help="processes (default: 1)")
    add("--format", choices=_FORMATS, help="of the one output, or of what is printed without one")
    add(
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help="file to write, its format by its name (.html, .json, else text); may be given "
        "several times. The report is printed as text all the same",
    )
    add("--quiet", action="store_true", help="no progress on stderr")
    add("--traceback", action="store_true", help="show where an error comes from")
    return parser


def _wrapped(names):
    return textwrap.fill(", ".join(names), 80, subsequent_indent="    ", break_on_hyphens=False)


def _diagnose(options, run):
    outputs = _outputs(options)
    data = read_data(options.data, options.target, options.groups, options.modality)
    task = options.task or infer_task(data.y)
    estimator = _estimator(task, data.lacking, options.max_epochs)
    settings = {"cv": options.cv, "seeds": options.seeds, "scoring": options.scoring}
    settings.update(groups=data.groups, n_jobs=options.n_jobs, verbose=0 if options.quiet else 1)
    if options.methods is not None:
        default = [row.name for row in compared_networks(estimator, "default")[1:]]
        settings["methods"] = _chosen("--methods", options.methods, default)
    if options.rivals is not None:
        settings["rivals"] = _chosen("--rivals", options.rivals, RIVALS)
    _say(options, data, task)
    # Only the report goes to stdout, so that it can be sent on.
    with redirect_stdout(sys.stderr):
        report = run(estimator, data.X, data.y, **settings)
    try:
        for output, shape in outputs.items():
            text = _written(report, shape, options.data)
            output.write_text(text + "\n", encoding="utf-8")
            print(f"report written to {output}", file=sys.stderr)
    finally:  # hours of training are not lost where a file cannot be written
        _print(_written(report, "text" if outputs else options.format or "text", options.data))


def _outputs(options):
    """The format of each file to write (dict)."""
    if options.format and len(options.output) > 1:
        raise CommandError("--format is for one --output: give names .html, .json or .txt instead.")
    found = {}
    for output in options.output:
        path = _writable(output)
        if path in found:
            raise CommandError(f"--output {output!r} is given twice.")
        found[path] = options.format or _SUFFIXES.get(path.suffix.lower(), "text")
    return found


def _joined(argv):
    """Arguments where lists of names that begin with - are told from options."""
    found = []
    for text in argv:
        names = text.startswith("-") and not text.startswith("--") and text != "-h"
        if names and found and found[-1] in ("--methods", "--rivals"):
            found[-1] += f"={text}"
        else:
            found.append(text)
    return found


def _chosen(option, text, default):
    """Names of a list, or the default ones but those behind a - (list of str)."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    left_out = [name.removeprefix("-").strip() for name in names if name.startswith("-")]
    if not left_out:
        return names
    if len(left_out) < len(names):
        raise CommandError(f"{option} {text!r}: put - in front of all names, or of none.")
    for name in left_out:
        if name not in default:
            raise CommandError(
                f"{option} leaves out {name!r}; the default is {', '.join(map(repr, default))}"
                f"{did_you_mean(name, default)}"
            )
    return [name for name in default if name not in left_out]


def _writable(output):
    """The file to write, checked before hours of training."""
    path = Path(output)
    if path.is_dir() or not path.parent.is_dir():
        what = (
            "is a folder" if path.is_dir() else f"lies in {str(path.parent)!r}, which is no folder"
        )
        raise CommandError(f"--output {output!r} {what}.")
    return path


def _estimator(task, lacking, max_epochs):
    settings = {} if max_epochs is None else {"max_epochs": max_epochs}
    if lacking:
        settings["missing"] = "allow"
    kind = MultimodalClassifier if task == "classification" else MultimodalRegressor
    return kind(**settings)


def _say(options, data, task):
    """Say how the file was read."""
    if options.quiet:
        return
    shapes = ", ".join(f"{name} {np.shape(values)[1:]}" for name, values in data.X.items())
    print(f"{options.data}: {len(data.y):,} samples; {shapes}", file=sys.stderr)
    told = task if task == "regression" else f"{task}, {len(np.unique(data.y))} classes"
    print(f"target {options.target}: {told}", file=sys.stderr)
    for name, n in data.lacking.items():
        print(f"{n:,} samples lack {name}: missing='allow'", file=sys.stderr)
    for note in data.notes:
        print(note, file=sys.stderr)


def _written(report, shape, title):
    if shape == "json":
        return report.to_json()
    if shape == "html":
        return report.to_html(title=f"Diagnosis of {title}")
    return str(report)


def _print(text):
    """Print, also where the terminal lacks some characters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))
