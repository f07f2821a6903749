"""A search in one pass against scikit-learn's, one fit after another: CPU time of the same search.

``python benchmarks/search.py`` searches 8 alphas on 5 folds of 1,447 samples (3 modalities of 50
features, 10 classes), refit included, by ``BatchedGridSearchCV`` and by
``GridSearchCV(n_jobs=1)``, and compares their scores. ``--old REV`` also runs the latter with the
library as it was at a revision, in a process of its own. One core, one thread. ``--write`` makes
``benchmarks/SEARCH.rst``.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import torch
from rst_table import rst_table
from sklearn.model_selection import GridSearchCV, StratifiedKFold

ROOT = Path(__file__).resolve().parent
# What is asked: of the revision before closed forms, and of today's single fits.
LIMITS = {16: (30, 15), 64: (12, 7), 256: (5, 3)}
ALPHAS = np.geomspace(0.1, 10, 8).tolist()


def make_search(kind, hidden, epochs):
    from inforeg_sk import MultimodalInfoRegClassifier

    estimator = MultimodalInfoRegClassifier(
        encoders__hidden=hidden, max_epochs=epochs, random_state=0, device="cpu"
    )
    return kind(estimator, {"alpha": ALPHAS}, cv=StratifiedKFold(5))


def spend(kind, hidden, epochs):
    """CPU time of a search, and its scores."""
    sys.path.insert(0, str(ROOT))
    from speed import make_data

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    X, y = make_data(1447)
    make_search(GridSearchCV, 4, 1).fit(X[:100], y[:100])  # what torch loads at the first fit
    search = make_search(kind, hidden, epochs)
    start = time.process_time()
    search.fit(X, y)
    spent = time.process_time() - start
    scores = [search.cv_results_[f"split{i}_test_score"].tolist() for i in range(5)]
    return spent, np.array(scores)


def spend_at(revision, hidden, epochs):
    """The same by GridSearchCV with the library of a revision."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT.parent), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", str(tree), revision], check=True)
        try:
            done = subprocess.run(
                [sys.executable, __file__, "--one", str(hidden), "--epochs", str(epochs)],
                env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
            )
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--hidden", type=int, nargs="*", default=list(LIMITS))
    parser.add_argument("--old", help="a revision to compare with, too")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="write benchmarks/SEARCH.rst")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(spend(GridSearchCV, arguments.one, arguments.epochs)[0]))
        return
    from inforeg_sk.model_selection import BatchedGridSearchCV

    head = ["hidden", "one pass (s)", "one by one (s)", "ratio", "limit"]
    head += ["before (s)", "ratio", "limit"] if arguments.old else []
    rows = [head]
    for hidden in arguments.hidden:
        together, scores = spend(BatchedGridSearchCV, hidden, arguments.epochs)
        apart, expected = spend(GridSearchCV, hidden, arguments.epochs)
        # Of 289 held-out samples in a fold, at most one differs in single precision.
        differing = np.abs(scores - expected).max() * (1447 / 5)
        limits = LIMITS.get(hidden, ("", ""))
        row = [hidden, f"{together:.2f}", f"{apart:.2f}", f"{apart / together:.1f}", limits[1]]
        if arguments.old:
            before = spend_at(arguments.old, hidden, arguments.epochs)
            row += [f"{before:.2f}", f"{before / together:.1f}", limits[0]]
        rows.append([str(cell) for cell in row])
        shown = ", ".join(f"{name} {cell}" for name, cell in zip(head, row))
        print(f"{shown}; samples that differ, at most in a fold: {differing:.1f}", flush=True)
    if arguments.write:
        write(rows, arguments)


def write(rows, arguments):
    """Write the page of results."""
    import inforeg_sk

    old = f" --old {arguments.old}" if arguments.old else ""
    before = f' "Before" is the same at {arguments.old}.' if arguments.old else ""
    text = "\n".join(
        [
            "Searches in one pass",
            "====================",
            "",
            f"Made by ``python benchmarks/search.py --write{old}`` on {date.today()}: inforeg_sk "
            f"{inforeg_sk.__version__}, torch {torch.__version__}, Python "
            f"{platform.python_version()}, one core, one run each. CPU time of a search over 8 "
            f"alphas on 5 folds of 1,447 samples, {arguments.epochs} epochs, refit included: "
            "``BatchedGridSearchCV`` (one pass) and scikit-learn's ``GridSearchCV(n_jobs=1)`` (one "
            f"by one).{before} Limits are what we ask of ourselves.",
            "",
            *rst_table(rows[0], rows[1:]),
        ]
    )
    (ROOT / "SEARCH.rst").write_text(text)


if __name__ == "__main__":
    main()
