"""Two hundred networks in one pass: time, memory and accuracies beside single fits.

``python benchmarks/members.py`` runs four parts on av digits, with the default network, and writes
``benchmarks/MEMBERS.rst`` and ``results/members.png``. Parts that are named are run anew, others
are taken from ``results/members.json``; ``--page`` runs none. ``--quick --output FOLDER`` runs all
of them small, to see that they run. One core, one thread.

fits
    A pass of 200 members, 200 single fits with the same seeds, and 100 with others: CPU time, and
    the accuracy of each on the test part.
memory
    Peak memory of passes, each in a process of its own, against the formula of
    ``inforeg_sk.model_selection.fits.fit_all``.
ensemble
    ``DeepEnsembleClassifier`` against its mean member, and rivals, on 5 splits by voices.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from memory import MB, Peak

from inforeg_sk import MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_av_digits
from inforeg_sk.model_selection.fits import fit_all
from inforeg_sk.model_selection.together import _STACK_BYTES
from inforeg_sk.training.stacked import _GATHERED_BYTES

ROOT = Path(__file__).resolve().parent
FULL = {
    "n_members": 200,
    "n_others": 100,
    "epochs": 100,
    "memory": [(64, k, 10) for k in (10, 50, 200)]
    + [(256, k, 10) for k in (10, 50, 200)]
    + [(64, 200, 100)],
    "n_splits": 5,
    "n_ensemble": 10,
}
QUICK = {
    "n_members": 3,
    "n_others": 2,
    "epochs": 2,
    "memory": [(16, 3, 2)],
    "n_splits": 2,
    "n_ensemble": 2,
}


def make(seed, epochs, **settings):
    return MultimodalInfoRegClassifier(
        random_state=seed, max_epochs=epochs, device="cpu", **settings
    )


def digits():
    bunch = load_av_digits()
    train, test = bunch.train_indices, bunch.test_indices
    return (bunch.data[train], bunch.target[train]), (bunch.data[test], bunch.target[test])


def pass_of(seeds, X, y, epochs, **settings):
    """The members of a pass."""
    found = fit_all([make(s, epochs, **settings) for s in seeds], X, y, [None] * len(seeds))
    for one in found:
        if one.error is not None:
            raise one.error
    return [one.estimator for one in found]


# Time and accuracies


def run_fits(sizes):
    (X, y), (X_test, y_test) = digits()
    make(0, 1).fit(X, y)  # what torch loads at the first fit

    def correct(clf):
        return int((clf.predict(X_test) == y_test).sum())

    seeds = list(range(sizes["n_members"]))
    start = time.process_time()
    members = pass_of(seeds, X, y, sizes["epochs"])
    seconds = time.process_time() - start
    together = [correct(clf) for clf in members]
    del members
    spent, alone = [], []
    for seed in [*seeds, *range(10_000, 10_000 + sizes["n_others"])]:
        start = time.process_time()
        clf = make(seed, sizes["epochs"]).fit(X, y)
        spent.append(time.process_time() - start)
        alone.append(correct(clf))
        if len(spent) % 20 == 0:
            print(f"{len(spent)} single fits: {sum(spent):.0f} s", flush=True)
    n = len(seeds)
    return {
        "n_test": len(y_test),
        "seconds": seconds,
        "single": spent,
        "together": together,
        "same": alone[:n],
        "others": alone[n:],
    }


# Memory


def formula(n_members, n_epochs, n_samples, batch_size, parameters, X, hidden):
    """Peak memory of a pass, in bytes by part; see ``fit_all``."""
    n_batches, row = -(-n_samples // batch_size), X // n_samples
    most = max(1, _STACK_BYTES // (6 * parameters))
    stacks, done = [], 0
    while done < n_members:
        k = min(most, n_members - done)
        block = min(max(_GATHERED_BYTES, k * batch_size * row), k * n_samples * row)
        both = min(2 * block, k * n_samples * row)
        largest = max(5 * k * parameters + both, 6 * k * parameters + block)
        stacks.append(2 * done * parameters + largest + k * batch_size * hidden * 6 * 4)
        done += k
    return {
        "data": X,
        "members": n_members * (parameters + 200_000),
        "history": n_members * n_epochs * (240 * n_batches + 2000),
        "stacks": max(stacks),
    }


def train(hidden, n_members, n_epochs):
    """Train a pass in this process; what it takes."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    (X, y), _ = digits()
    pass_of([0, 1], X, y, 1, encoders__hidden=4)
    with Peak(False) as peak:
        members = pass_of(range(n_members), X, y, n_epochs, encoders__hidden=hidden)
    network = members[0].module_
    parameters = sum(p.numel() * p.element_size() for p in network.parameters())
    size = sum(array.nbytes for array in X.values())
    return {
        "hidden": hidden,
        "n_members": n_members,
        "n_epochs": n_epochs,
        "parameters": parameters,
        "added": peak.added,
        "formula": formula(n_members, n_epochs, len(y), 32, parameters, size, hidden),
    }


def run_memory(sizes):
    rows = []
    for case in sizes["memory"]:
        command = [sys.executable, __file__, "--child", *map(str, case)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        rows.append(json.loads(done.stdout))
        row, expected = rows[-1], sum(rows[-1]["formula"].values())
        print(
            f"hidden {row['hidden']}, {row['n_members']} members, {row['n_epochs']} epochs: "
            f"{row['added'] / MB:.0f} MB, formula {expected / MB:.0f}",
            flush=True,
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help="fits, memory, ensemble; default: all")
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--page", action="store_true", help="write the page only")
    parser.add_argument("--output", type=Path, default=ROOT, help="folder of the page")
    parser.add_argument("--child", type=int, nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(train(*arguments.child)))
        return
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    folder = arguments.output / "results"
    folder.mkdir(exist_ok=True)
    kept = folder / "members.json"
    runs = {"fits": run_fits, "memory": run_memory}
    parts = [] if arguments.page else arguments.parts or list(runs)
    for part in parts:
        made = runs[part](QUICK if arguments.quick else FULL)
        results = json.loads(kept.read_text()) if kept.exists() else {}
        results[part] = made
        kept.write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
