"""Does a refactoring keep behaviour, bit for bit? The same fits on two revisions, compared.

``python benchmarks/frozen.py REV [NEW]`` checks REV out, and NEW too if it is given; without it
the new side is the working tree as it stands, with changes that are not committed. The fits of
``frozen_fits.py`` (of the working tree, whatever the revisions) run once on each side, at the same
time, in processes of one thread. ``renames.json`` says what names of today were called in older
revisions; ``frozen_fits.py`` describes it.

Compared are predictions, probabilities, outputs, features and scores by modality, all parameters
and buffers of the network, and the curves of the history. Equal means the same keys, and for each
the same kind of type, shape and bits (NaN equals NaN). Names of keys are
``<case>/<dtype>/<what>[/<modality>]``. Printed are the numbers of fits and arrays, and what
differs. The exit status is 0 if nothing does and no fit failed, else 1.

Options: ``--only REGEX`` takes the cases whose name it finds, ``--save FILE`` writes the results of
both sides as an npz file (keys ``old/...`` and ``new/...``), and ``--python PATH`` runs the fits
with another Python. Bits depend on the machine and the version of torch, so both sides run here
and now, and nothing is stored for later.

A difference is not always a mistake, but it is always a change: say so in ``CHANGES.rst``.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FITS = ROOT / "benchmarks" / "frozen_fits.py"
# As frozen_fits.py names them, beside those of each modality.
CURVES = (
    "train_loss",
    "train_objective",
    "valid_loss",
    "valid_acc",
    "fisher_trace",
    "window",
    "window_ratio",
    "coefficient",
    "performance_score",
)
SHOWN = 50


class Difference(NamedTuple):
    """One key whose values are not equal."""

    key: str
    text: str


# Comparison


def compare(old, new):
    """Compare the results of two trees.

    Parameters
    ----------
    old, new : mapping of str to ndarray

    Returns
    -------
    list of Difference
        By key; empty if all is equal bit for bit.
    """
    differences = []
    for key in sorted({*old, *new}):
        if key not in old or key not in new:
            text = f"only on the {'new' if key in new else 'old'} side"
        else:
            text = difference(old[key], new[key], curve=key.split("/")[2] in CURVES)
        if text:
            differences.append(Difference(key, text))
    return differences


def difference(old, new, curve=False):
    """Say how two arrays differ.

    Parameters
    ----------
    old, new : ndarray
    curve : bool, default=False
        Whether the values are those of epochs.

    Returns
    -------
    str or None
        None if kind of type, shape and bits are the same.
    """
    if old.dtype.kind != new.dtype.kind:
        return f"type {old.dtype} became {new.dtype}"
    if old.dtype.kind == "f" and old.dtype != new.dtype:
        return f"type {old.dtype} became {new.dtype}"
    if old.shape != new.shape:
        return f"shape {old.shape} became {new.shape}"
    same = equal_bits(old, new)
    if same.all():
        return None
    text = f"{same.size - same.sum()} of {same.size} values"
    if old.dtype.kind in "fiub":
        a, b = old[~same].astype(float), new[~same].astype(float)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            gap = np.abs(a - b)
            relative = gap / np.maximum(np.abs(a), np.abs(b))
        text += f", at most {_largest(gap)} absolute and {_largest(relative)} relative"
    elif old.ndim == 0:
        text = f"{old.item()} became {new.item()}"
    if curve:
        text += f", first in epoch {int(np.argmin(same))}"
    return text


def equal_bits(old, new):
    """Which values have the same bits, or are both NaN (ndarray of bool)."""
    if old.dtype.kind != "f":
        return old == new
    # Zeros of different signs compare as equal, but are not.
    bits = np.dtype(f"u{old.dtype.itemsize}")
    same = np.ascontiguousarray(old).view(bits) == np.ascontiguousarray(new).view(bits)
    return same.reshape(old.shape) | (np.isnan(old) & np.isnan(new))


def fit_of(key):
    """Case and dtype of a key."""
    return "/".join(key.split("/")[:2])


def _largest(values):
    finite = values[np.isfinite(values)]
    return f"{finite.max():.3g}" if finite.size else "nan"


def report(old, new):
    """Print what a comparison found.

    Parameters
    ----------
    old, new : mapping of str to ndarray

    Returns
    -------
    bool
        Whether all is equal, and no fit raised an error that it should not.
    """
    differences = compare(old, new)
    keys = {*old, *new}
    fits = {fit_of(key) for key in keys}
    failed = sorted(key for key in keys if key.endswith("/raised"))
    refused = sum(key.endswith("/refused") for key in keys)
    print(
        f"{len(fits)} fits, of which {refused} refused as they have to be and {len(failed)} failed"
    )
    print(f"{len(keys)} arrays compared, {len(differences)} differ")
    for key in failed[:SHOWN]:
        sides = {"old": old, "new": new}
        errors = [f"{side}: {found[key]}" for side, found in sides.items() if key in found]
        print(f"  failed: {key.removesuffix('/raised')} ({', '.join(errors)})")
    # A fit that failed on one side lacks all of its arrays there: one line says that.
    broken = {fit_of(key) for key in failed}
    listed = [d for d in differences if fit_of(d.key) not in broken]
    for key, text in listed[:SHOWN]:
        print(f"  {key}: {text}")
    if len(listed) > SHOWN:
        print(f"  and {len(listed) - SHOWN} more")
    if not fits:
        print("no case was run")
    elif not differences:
        print("equal bit for bit" + (", but fits failed" if failed else ""))
    return bool(fits) and not differences and not failed


# Two trees


@contextlib.contextmanager
def checked_out(revision, folder):
    """A worktree of a revision, removed afterwards.

    Parameters
    ----------
    revision : str or None
        None is the working tree as it stands.
    folder : Path
        Where the worktree is made; it does not exist yet.

    Yields
    ------
    Path
    """
    if revision is None:
        yield ROOT
        return
    try:
        git("worktree", "add", "--quiet", "--detach", str(folder), revision)
        yield folder
    finally:
        if folder.exists():
            git("worktree", "remove", "--force", str(folder))


def git(*arguments):
    """Run git in the repository, or raise a RuntimeError; git itself says what is wrong."""
    if subprocess.run(["git", "-C", str(ROOT), *arguments]).returncode:
        raise RuntimeError(f"git {' '.join(arguments)} failed.")


def run_fits(trees, outputs, python, only):
    """Run the fits on all trees at the same time.

    Parameters
    ----------
    trees, outputs : list of Path
        Where the package lies, and where the results go.
    python : str
        Interpreter.
    only : str
        Regular expression of the names of cases.

    Raises
    ------
    RuntimeError
        If one of the processes fails.
    """
    # One thread: faster at these sizes, and the last bits depend on the number of threads.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    processes = []
    try:
        for tree, output in zip(trees, outputs, strict=True):
            command = [python, str(FITS), str(tree), str(output), "--only", only]
            env = {**os.environ, **threads, "PYTHONPATH": str(tree)}
            # Not where the script is started: that may hold a copy of the package.
            processes.append(subprocess.Popen(command, env=env, cwd=output.parent))
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for tree, code in zip(trees, codes, strict=True):
        if code:
            raise RuntimeError(f"The fits on {tree} ended with status {code}.")


def results_of(old, new, python, only):
    """Run the fits on two revisions.

    Parameters
    ----------
    old, new : str or None
        None is the working tree.
    python, only : str
        See `run_fits`.

    Returns
    -------
    list of two dict of str to ndarray

    Raises
    ------
    RuntimeError
        If git does not know a revision, or the fits could not be run.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="frozen-")))
        sides = {"old": old, "new": new}
        trees = [stack.enter_context(checked_out(r, folder / s)) for s, r in sides.items()]
        outputs = [folder / f"{side}.npz" for side in sides]
        run_fits(trees, outputs, python, only)
        return [dict(stack.enter_context(np.load(output))) for output in outputs]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", metavar="REV")
    parser.add_argument("new", metavar="NEW", nargs="?", help="default: the working tree")
    parser.add_argument("--only", metavar="REGEX", default="", type=_regex)
    parser.add_argument("--save", metavar="FILE", type=Path)
    parser.add_argument("--python", metavar="PATH", default=sys.executable)
    arguments = parser.parse_args()
    # The fits run in another folder. (A link, as in a virtual environment, must not be followed.)
    python = os.path.abspath(shutil.which(arguments.python) or arguments.python)
    # Ended from outside, it still removes its worktrees.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    start = time.perf_counter()
    try:
        old, new = results_of(arguments.old, arguments.new, python, arguments.only)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    equal = report(old, new)
    if arguments.save:
        named = (("old", old), ("new", new))
        np.savez(arguments.save, **{f"{s}/{k}": v for s, found in named for k, v in found.items()})
    print(f"{arguments.old} beside {arguments.new or 'the working tree'}, ", end="")
    print(f"{time.perf_counter() - start:.0f} s")
    return 0 if equal else 1


def _regex(text):
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from error
    return text


if __name__ == "__main__":
    sys.exit(main())
