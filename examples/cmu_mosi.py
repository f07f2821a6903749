"""Grid search over alpha on CMU-MOSI: is a modality starving, and what helps?
===========================================================================

Text, audio and video features of 2199 spoken opinions, positive or negative. A Pipeline scales
each modality and trains the classifier; GridSearchCV chooses the strength of the regulation
(alpha), without and with unimodal losses (unimodal_weight 0 and 1, the latter marked ``*``).

How the choice is made, and why: the published text and video features come from networks that
were trained on the labels of the training videos. Cross-validation inside the training videos
therefore looks far too good (text .98, where new videos give .75) and would choose nonsense. So
each grid point is trained on all training videos and *selected* on one half of the official test
videos, and what the table *reports* is accuracy on the other half, which took no part in the
choice. Then the halves swap roles. The figures are means over seeds and both ways round; the
spread is the standard deviation over seeds of the mean of both ways.

Run it with the folder of the csv files (see datasets/cmu_mosi/README.rst) as the first argument
or in the environment variable INFOREG_SK_DATA. Without them it runs on synthetic data.
``plot_nested_search.py`` searches the same data in nested cross-validation, with tests of the
differences.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier
from inforeg_sk.datasets import load_cmu_mosi, make_multimodal_classification

ALPHAS = [1, 3, 10]
SEEDS = [0, 1, 2]


def load(home):
    """Return a name, data, labels, videos, and the rows of the training and of the test part."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    if home is None and "INFOREG_SK_DATA" not in os.environ and beside.is_dir():
        home = beside
    try:
        bunch = load_cmu_mosi(home)
    except FileNotFoundError as error:
        print(f"{error}\n\nWithout them: the same on synthetic data.\n")
        X, y = make_multimodal_classification(
            2200,
            n_classes=2,
            modalities={
                "text": {"strength": 1.5, "n_features": 100},
                "audio": {"strength": 0.6, "n_features": 73},
                "video": {"strength": 0.6, "n_features": 100},
            },
            redundancy=0.2,
            random_state=0,
        )
        train, test, groups = np.arange(1450), np.arange(1450, 2200), np.arange(2200) // 24
        return "synthetic data", X, y, groups, train, test
    parts = bunch.train_indices, bunch.test_indices
    return "CMU-MOSI", bunch.data, bunch.target, bunch.groups, *parts


def halves(test, groups):
    """Split the test rows into two halves; no video is in both."""
    splitter = GroupShuffleSplit(n_splits=1, test_size=0.5, random_state=0)
    first, second = next(splitter.split(test, groups=groups[test]))
    return test[first], test[second]


def pipeline(seed, max_epochs):
    return Pipeline(
        [
            ("scale", ModalityTransformer(StandardScaler())),
            ("clf", MultimodalInfoRegClassifier(random_state=seed, max_epochs=max_epochs)),
        ]
    )


def search(X, y, train, select, grid, max_epochs, n_jobs):
    """Grid points with their mean accuracy over the seeds on the rows `select`."""
    scores = []
    for seed in SEEDS:
        grid_search = GridSearchCV(
            pipeline(seed, max_epochs), grid, cv=[(train, select)], refit=False, n_jobs=n_jobs
        ).fit(X, y)
        scores.append(grid_search.cv_results_["mean_test_score"])
    return list(zip(grid_search.cv_results_["params"], np.mean(scores, axis=0), strict=True))


def evaluate(X, y, train, reported, params, seed, max_epochs):
    """Accuracy on the rows `reported`: of all modalities together, then of each, by name."""
    model = clone(pipeline(seed, max_epochs)).set_params(**params).fit(X[train], y[train])
    Z, labels = model[:-1].transform(X[reported]), y[reported]
    each = model[-1].score_by_modality(Z, labels)  # in the order of the data
    return [model[-1].score(Z, labels), *(each[name] for name in sorted(X))]


def train_alone(X, y, train, reported, seed, max_epochs):
    """Accuracy on the rows `reported` of networks that see one modality only."""
    joint = {"clf__alpha": 0, "clf__unimodal_weight": 0}
    alone = [ModalityDict({name: X[name]}) for name in sorted(X)]
    scores = [evaluate(Z, y, train, reported, joint, seed, max_epochs)[0] for Z in alone]
    return [np.nan, *scores]


def best(points, alphas, weights):
    """Parameters of the best grid point among those with the alphas and weights named."""
    among = [
        (score, -i, params)
        for i, (params, score) in enumerate(points)
        if params["clf__alpha"] in alphas and params["clf__unimodal_weight"] in weights
    ]
    return max(among, key=lambda point: point[:2])[2]


def print_row(label, table, note=""):
    """One line of the table; `table` has the axes ways, seeds, columns."""
    mean, spread = 100 * table.mean(axis=(0, 1)), 100 * table.mean(axis=0).std(axis=0, ddof=1)
    cells = [
        f"{'-':>15}" if np.isnan(m) else f"{m:>8.1f} +- {s:3.1f}"
        for m, s in zip(mean, spread, strict=True)
    ]
    print(f"{label:<14}{''.join(cells)}   {note}")


def print_difference(label, table, baseline):
    """A difference of two rows, paired by seed, and whether it stands out from the spread."""
    difference = 100 * (table - baseline).mean(axis=0)
    mean, error = difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))
    verdict = "inside the noise" if abs(mean) <= 2 * error else "outside the noise"
    print(f"{label}: {mean:+.1f} points (standard error {error:.1f}, {verdict})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", nargs="?", help="folder of the CMU-MOSI csv files")
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--n-jobs", type=int, default=2)
    args = parser.parse_args()

    start = time.perf_counter()
    name, X, y, groups, train, test = load(args.home)
    first, second = halves(test, groups)
    print(f"{name}: {X}")
    print(f"{len(train)} training samples; test halves of {len(first)} and {len(second)}\n")

    # (selected on, reported on), both ways round
    ways = [(first, second), (second, first)]
    grid = {"clf__alpha": [0, *ALPHAS], "clf__unimodal_weight": [0, 1]}
    searched = []
    for select, _ in ways:
        searched.append(search(X, y, train, select, grid, args.max_epochs, args.n_jobs))
        print(f"searched {len(searched[-1])} grid points x {len(SEEDS)} seeds")

    rows = {
        "joint": ([0], [0]),
        "joint*": ([0], [1]),
        "InfoReg": (ALPHAS, [0]),
        "InfoReg*": (ALPHAS, [1]),
        "selected": ([0, *ALPHAS], [0, 1]),
    }
    chosen = {row: [best(points, *among) for points in searched] for row, among in rows.items()}
    tasks = [
        delayed(train_alone)(X, y, train, reported, seed, args.max_epochs)
        for _, reported in ways
        for seed in SEEDS
    ]
    tasks += [
        delayed(evaluate)(X, y, train, reported, params, seed, args.max_epochs)
        for row in rows
        for params, (_, reported) in zip(chosen[row], ways, strict=True)
        for seed in SEEDS
    ]
    scores = np.array(Parallel(n_jobs=args.n_jobs)(tasks))
    alone, *tables = scores.reshape(1 + len(rows), len(ways), len(SEEDS), -1)
    tables = dict(zip(rows, tables, strict=True))

    print("\nAccuracy in % on the half that did not choose, all modalities and each by itself")
    print(f"{'':<14}" + "".join(f"{c:>15}" for c in ("all", *sorted(X))) + "   (alpha, weight)")
    print_row("trained alone", alone)
    for row, table in tables.items():
        pairs = [(p["clf__alpha"], p["clf__unimodal_weight"]) for p in chosen[row]]
        print_row(row, table, " ".join(map(str, pairs)))
    frequent = np.mean([np.bincount(y[rows]).max() / len(rows) for _, rows in ways])
    print(f"Always answering the test half's most frequent class gives {100 * frequent:.1f}.\n")

    for i, modality in enumerate(sorted(X), start=1):
        print_difference(
            f"{modality} inside the joint network, against trained alone",
            tables["joint"][..., i],
            alone[..., i],
        )
    for row in ("joint*", "InfoReg", "InfoReg*", "selected"):
        print_difference(f"{row} against joint", tables[row][..., 0], tables["joint"][..., 0])
    print(f"\n{len(SEEDS)} seeds, {args.max_epochs} epochs, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
