"""Two hundred networks in one pass: time, memory and accuracies beside single fits.

``python benchmarks/members.py`` runs four parts on av digits, with the default network, and writes
``benchmarks/MEMBERS.rst`` and ``results/members.png``. Parts that are named are run anew, others
are taken from ``results/members.json``; ``--page`` runs none. ``--quick --output FOLDER`` runs all
of them small, to see that they run. One core, one thread.

fits
    A pass of 200 members, and 200 single fits with the same seeds: CPU time, and the accuracy of
    each on the test part.
memory
    Peak memory of passes, each in a process of its own, against the formula of
    ``inforeg_sk.model_selection.fits.fit_all``.
ensemble
    ``DeepEnsembleClassifier`` against its mean member, and rivals, on 5 splits by voices.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from memory import MB, Peak
from rst_table import rst_table
from scipy.stats import ks_2samp, ttest_rel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import DeepEnsembleClassifier, ModalityDict, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_av_digits
from inforeg_sk.model_selection.fits import fit_all
from inforeg_sk.model_selection.together import _STACK_BYTES
from inforeg_sk.training.stacked import _GATHERED_BYTES

ROOT = Path(__file__).resolve().parent
FULL = {
    "n_members": 200,
    "epochs": 100,
    "memory": [(64, k, 10) for k in (10, 50, 200)]
    + [(256, k, 10) for k in (10, 50, 200)]
    + [(64, 200, 100)],
    "n_splits": 5,
    "n_folds": 5,
    "n_ensemble": 10,
}
QUICK = {
    "n_members": 4,
    "epochs": 2,
    "memory": [(16, 3, 2)],
    "n_splits": 2,
    "n_folds": 2,
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
    for seed in seeds:
        start = time.process_time()
        clf = make(seed, sizes["epochs"]).fit(X, y)
        spent.append(time.process_time() - start)
        alone.append(correct(clf))
        if len(spent) % 20 == 0:
            print(f"{len(spent)} single fits: {sum(spent):.0f} s", flush=True)
    return {
        "n_test": len(y_test),
        "seconds": seconds,
        "single": spent,
        "together": together,
        "alone": alone,
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


# The ensemble and its rivals


def stacked_linear(X, y, groups, X_test, n_folds):
    """Logistic regression over those of the modalities, on predictions for samples held out."""
    outer, outer_test = [], []
    for name in X:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        flat, flat_test = (part[name].reshape(len(part[name]), -1) for part in (X, X_test))
        held_out = cross_val_predict(
            model, flat, y, groups=groups, cv=GroupKFold(n_folds), method="predict_log_proba"
        )
        outer.append(held_out)
        outer_test.append(model.fit(flat, y).predict_log_proba(flat_test))
    final = LogisticRegression(max_iter=2000).fit(np.hstack(outer), y)
    return final.predict(np.hstack(outer_test))


def run_ensemble(sizes):
    bunch = load_av_digits()
    data, target, groups = bunch.data, bunch.target, bunch.groups
    n, epochs = sizes["n_ensemble"], sizes["epochs"]
    # As many voices as the published training part has: 20 of 60.
    splitter = GroupShuffleSplit(sizes["n_splits"], train_size=1 / 3, random_state=0)
    rows = {}

    def note(name, right):
        rows.setdefault(name, []).append(100 * float(np.mean(right)))

    for split, (train, test) in enumerate(splitter.split(target, target, groups)):
        X, X_test, y, y_test = data[train], data[test], target[train], target[test]
        probabilities = {}
        for names in [list(X), *([name] for name in X)]:
            part, part_test = (ModalityDict({m: d[m] for m in names}) for d in (X, X_test))
            model = DeepEnsembleClassifier(make(None, epochs), n_members=n, random_state=split)
            model.fit(part, y)
            each = np.stack([member.predict_proba(part_test) for member in model.members_])
            probabilities["+".join(names)] = each
            whose = "both modalities" if len(names) > 1 else f"{names[0]} alone"
            note(f"one network, {whose}", each.argmax(axis=2) == y_test)
            note(f"{n} networks, {whose}", model.predict(part_test) == y_test)
        late = np.mean([probabilities[name] for name in X], axis=0)
        note("late fusion, one network for each modality", late.argmax(axis=2) == y_test)
        late = late.mean(axis=0).argmax(axis=1)
        note(f"late fusion, {n} networks for each modality", late == y_test)
        found = stacked_linear(X, y, groups[train], X_test, sizes["n_folds"])
        note("logistic regressions, stacked", found == y_test)
        print({name: round(values[-1], 2) for name, values in rows.items()}, flush=True)
    return {"n": n, "rows": rows}


# The page


def described(values):
    return f"{np.mean(values):.2f} +- {np.std(values, ddof=1):.2f}"


def halves(found):
    """Accuracies (%) of pass and single fits, of the first half of the seeds and of the second."""
    n = len(found["together"]) // 2
    percent = [100 * np.array(found[name]) / found["n_test"] for name in ("together", "alone")]
    return [(values[:n], values[n:]) for values in percent]


def describe_fits(found, epochs):
    n_test, n = found["n_test"], len(found["together"])
    per_fit = float(np.mean(found["single"]))
    apart = np.abs(np.array(found["together"]) - found["alone"])
    together, alone = halves(found)
    names = [f"0 to {n // 2 - 1}", f"{n // 2} to {n - 1}"]
    body = [
        [f"{len(values)}, {how}", seeds, described(values)]
        for how, both in (("one pass", together), ("single fits", alone))
        for seeds, values in zip(names, both)
    ]
    tests = [ks_2samp(together[0], alone[1]), ks_2samp(together[1], alone[0])]
    shown = " and ".join(f"D = {t.statistic:.3f}, p = {t.pvalue:.2f}" for t in tests)
    return [
        "Time and accuracies",
        "-------------------",
        "",
        f"A pass of {n} networks, {epochs} epochs, took {found['seconds']:.1f} s of CPU time. A "
        f"single fit took {per_fit:.2f} s (mean of {n}), so that {n} of them take "
        f"{n * per_fit:.1f} s: {n * per_fit / found['seconds']:.1f} times as long.",
        "",
        f"Accuracy on the {n_test} test samples, in %, mean +- standard deviation over the "
        "networks:",
        "",
        *rst_table(["networks", "seeds", "accuracy"], body),
        f"Of the {n} pairs with the same seed, {int((apart == 0).sum())} have the same number of "
        f"correct test samples, {int((apart == 1).sum())} differ by one, and "
        f"{int((apart > 1).sum())} by more (at most {int(apart.max())}): rounding in single "
        f"precision grows over {epochs} epochs. With other seeds: one half of the pass against "
        "the single fits of the other half, and the other way round, by the two-sample "
        f"Kolmogorov-Smirnov test: {shown}.",
        "",
        ".. image:: results/members.png",
        "   :alt: Histograms of the accuracies of one half of the pass, and of single fits with",
        "         the seeds of the other half.",
        "",
    ]


def describe_memory(rows):
    body = []
    for row in rows:
        expected = sum(row["formula"].values())
        body.append(
            [
                row["hidden"],
                row["n_members"],
                row["n_epochs"],
                f"{row['parameters'] / MB:.2f}",
                f"{row['added'] / MB:,.0f}",
                f"{expected / MB:,.0f}",
                f"{row['added'] / expected:.2f}",
            ]
        )
    head = ["hidden", "members", "epochs", "one network", "peak", "formula", "peak / formula"]
    return [
        "Memory",
        "------",
        "",
        "What a pass adds to the resident memory at its peak (``VmHWM``), in MB, each line in a "
        "process of its own; the formula is that of ``inforeg_sk.model_selection.fits.fit_all``: "
        "data, 0.2 MB and the history of each member, four copies of the parameters of all "
        "members of a stack besides the networks and the moments of all, and the gathered "
        f"batches. A stack holds at most {_STACK_BYTES // MB:,} MB / (6 x one network) members.",
        "",
        *rst_table(head, body),
    ]


def describe_ensemble(found):
    rows, n = found["rows"], found["n"]
    body = [[name, described(values)] for name, values in rows.items()]

    def gain(first, second):
        differences = np.array(rows[first]) - np.array(rows[second])
        error = differences.std(ddof=1) / len(differences) ** 0.5
        clear = ttest_rel(rows[first], rows[second]).pvalue < 0.05
        return (
            f"{differences.mean():+.2f} +- {error:.2f}"
            f"{'' if clear else ', which is within the noise'}"
        )

    many, one = f"{n} networks, both modalities", "one network, both modalities"
    late = f"late fusion, {n} networks for each modality"
    return [
        "The ensemble",
        "------------",
        "",
        f"``DeepEnsembleClassifier`` of {n} default networks, on {len(rows[one])} splits of all "
        "samples by voices (20 voices to train on, 40 to test on). Accuracy in %, mean +- standard "
        'deviation over the splits; "one network" is the mean of the members. The stacked '
        "logistic regressions get their inputs by 5 folds of the training voices.",
        "",
        *rst_table(["model", "accuracy"], body),
        f"The ensemble against its mean member: {gain(many, one)} points (mean of the paired "
        f"differences and its standard error). Against late fusion of as many networks for each "
        f"modality: {gain(many, late)}.",
        "",
    ]


def draw(found, path):
    """Histograms of the accuracies, one above the other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    (together, _), (_, alone) = halves(found)
    n = len(together)
    step = 100 / found["n_test"]
    every = np.concatenate([together, alone])
    edges = np.arange(every.min() - step / 2, every.max() + step, step)
    figure, axes = plt.subplots(2, 1, figsize=(6, 4.5), sharex=True, layout="constrained")
    for panel, title, values, color, hatch in zip(
        axes,
        (f"{n} networks of one pass", f"{len(alone)} single fits with other seeds"),
        (together, alone),
        ("0.75", "white"),
        ("//", ".."),
    ):
        panel.hist(values, edges, color=color, hatch=hatch, edgecolor="black")
        panel.axvline(values.mean(), color="black", linestyle="--", label="mean")
        panel.set(title=title, ylabel="networks")
        panel.legend()
    axes[1].set_xlabel("accuracy on the test part (%)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def write(results, epochs, folder):
    """Write the page of results and its figure."""
    import inforeg_sk

    lines = [
        "Many networks in one pass",
        "=========================",
        "",
        f"Made by ``python benchmarks/members.py`` on {date.today()}: inforeg_sk "
        f"{inforeg_sk.__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
        "one thread on a machine of two cores that others used, too. The default network on av "
        "digits (599 samples to train on), trained by "
        "``inforeg_sk.model_selection.fits.fit_all``, which is what ``DeepEnsembleClassifier`` "
        "and the searches call.",
        "",
        *describe_fits(results["fits"], epochs),
        *describe_memory(results["memory"]),
        *describe_ensemble(results["ensemble"]),
    ]
    (folder / "MEMBERS.rst").write_text("\n".join(lines).rstrip() + "\n")
    draw(results["fits"], folder / "results" / "members.png")


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
    folder, sizes = arguments.output, QUICK if arguments.quick else FULL
    (folder / "results").mkdir(exist_ok=True)
    kept = folder / "results" / "members.json"
    runs = {"fits": run_fits, "memory": run_memory, "ensemble": run_ensemble}
    for part in [] if arguments.page else arguments.parts or list(runs):
        made = runs[part](sizes)
        results = json.loads(kept.read_text()) if kept.exists() else {}
        results[part] = made
        kept.write_text(json.dumps(results) + "\n")
    results = json.loads(kept.read_text())
    if missing := set(runs) - set(results):
        print(f"no page yet: {', '.join(sorted(missing))} not run", flush=True)
        return
    write(results, sizes["epochs"], folder)


if __name__ == "__main__":
    main()
