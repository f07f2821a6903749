"""The tables of the paper in shape, on the data that are here: methods, windows, fusions, encoders.

Each trained row has three settings: of its own parameter, or of the learning rate where it has
none. For each seed a fifth of the training part is held out, by classes, or by groups where there
are any; each setting is trained once for 60 epochs beside it. The setting and the epoch with the
best held-out accuracy, averaged over five neighboring epochs, are chosen; of equal ones the earlier
setting, then the earlier epoch. With them a network is fitted on the whole training part, and the
test part is scored once. The split into training and test is the published one, else the first of
``benchmarks/rivals.py``. Late fusion chooses for each modality by itself, in the same way, and
counts the prior of the classes once, as ``LateFusionClassifier`` does; a further row counts it with
each modality. The other rivals are not tuned, or choose inside the training part.

The training features of CMU-MOSI were made with the training labels, so that nothing can be held
out of them. There the networks are fitted on the whole training part with 5, 20 and 60 epochs, and
chosen by one half of the test recordings to be scored on the other, both ways.

The texts of MUStARD are read by TF-IDF and 100 components of it, fitted on the whole training part:
what is held out of it is no news to them, so that held-out accuracy is too high there, for all rows
alike. G-Blending and D&R go by held-out samples in training: those by which settings are chosen,
and in the last fit a tenth of the training part.

Rows that depend on no seed are fitted once; others with ten seeds, with five in the tables of
windows and fusions (where they are not the method as it is) and for stacked trees and the pool,
with three for sequences and images. G-Blending is left out on CMU-MOSI and stress, where it would
take about 40 minutes each.

``python benchmarks/reproduce.py run show`` needs the real data (folder in INFOREG_SK_DATA, or
../shared/data) and librosa. Results are appended to ``benchmarks/results/reproduce.jsonl``; what is
there already is not run again. ``show --write`` writes ``benchmarks/RESULTS.rst``, the last
sections of docs/methods and a part of docs/guide/expect.rst; it needs no data.
"""

import argparse
import fcntl
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from reproduce_rows import (
    BESIDE,
    CONDITIONING,
    ENCODED,
    EPOCHS,
    GRIDS,
    HOLD_OUT,
    LATE_FUSIONS,
    LEAKY,
    SETS,
    about,
    jobs,
    load,
    n_seeds,
    recordings,
)
from rivals import ROWS as RIVALS
from rivals import groups_for
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.dataset import ValidSplit
from torch.utils.data import Subset

from inforeg_sk import LateFusionClassifier, ModalityDict, MultimodalClassifier
from inforeg_sk.model_selection.fits import fit_all

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "reproduce.jsonl"
EPOCH_GRID = (5, 20, 60)
SMOOTHING = 5

# Protocol


class Apart(LateFusionClassifier):
    """Late fusion of networks that are fitted already, and whose features are probed."""

    def transform_by_modality(self, X):
        return {n: m.transform_by_modality(only(X, n))[n] for n, m in self.experts_.items()}


def labels_of(model, X):
    return model.classes_[model.predict_proba(X).argmax(axis=1)]


def only(X, name):
    return ModalityDict({name: X[name]})


def smoothed(values):
    """Mean over `SMOOTHING` neighboring epochs; at the ends over those that there are."""
    half = SMOOTHING // 2
    parts = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return np.round([np.mean(part) for part in parts], 9)


def network(seed, given, epochs, **others):
    return MultimodalClassifier(
        random_state=seed, max_epochs=epochs, record_batches=False
    ).set_params(**given, **others)


def fitted(estimators, X, y):
    """The estimators, fitted on all of the data, many as one where that is possible."""
    found = fit_all(estimators, X, y, [None] * len(estimators))
    for one in found:
        if one.error is not None:
            raise one.error
    return found


class GivenRows:
    """A `train_split` that holds out given rows."""

    def __init__(self, fit, choose):
        self.fit, self.choose = fit, choose

    def __call__(self, dataset, y=None):
        return Subset(dataset, self.fit), Subset(dataset, self.choose)


def held_out(seed, y, groups):
    """Parameters of a network that holds a fifth out, and records its accuracy in each epoch.

    Early stopping that never stops is what many networks can be trained with as one. But with
    groups it holds out the same ones whatever the seed (scikit-learn's ``StratifiedGroupKFold``
    shuffles only those with the same spread of classes), so that these are drawn here.
    """
    if groups is None:
        return {
            "early_stopping": True,
            "n_iter_no_change": EPOCHS,
            "validation_fraction": 0.2,
        }
    splitter = GroupShuffleSplit(1, test_size=0.2, random_state=seed)
    return {"train_split": GivenRows(*next(splitter.split(np.zeros(len(y)), y, groups)))}


def choose(grid, seeds, X, y, groups):
    """The setting, the epochs and the held-out accuracy of each seed."""
    made = [
        network(seed, given, EPOCHS, **held_out(seed, y, groups))
        for seed in seeds
        for given in grid
    ]
    fits = fitted(made, X, y)
    found = []
    for k in range(len(seeds)):
        of_seed = fits[k * len(grid) : (k + 1) * len(grid)]
        curves = [smoothed(one.estimator.history_[:, "valid_acc"]) for one in of_seed]
        best, epoch = divmod(int(np.argmax(curves)), EPOCHS)
        found.append((grid[best], epoch + 1, float(curves[best][epoch])))
    return found


def pieces_of(name, row, grid, X, seeds):
    """Of each seed: pairs of a fitted network and the test rows that it is scored on; choices."""
    _, y, groups, train, test = load(name)
    if name in LEAKY:
        return leaky_pieces(name, grid, X, seeds)
    chosen = choose(grid, seeds, X[train], y[train], None if groups is None else groups[train])
    last = {"train_split": ValidSplit(10)} if row in HOLD_OUT else {}
    made = [
        network(seed, given, epochs, **last)
        for seed, (given, epochs, _) in zip(seeds, chosen, strict=True)
    ]
    fits = fitted(made, X[train], y[train])
    pieces = [[(one.estimator, test)] for one in fits]
    told = [[{**varied(grid, g), "epochs": e, "held_out": round(v, 4)}] for g, e, v in chosen]
    return pieces, told, [one.fit_time for one in fits]


def leaky_pieces(name, grid, X, seeds):
    _, y, _, train, test = load(name)
    last = {"train_split": ValidSplit(10)} if grid[0]["method"] in ("g-blending", "dr") else {}
    tried = [(given, epochs) for given in grid for epochs in EPOCH_GRID]
    made = [network(s, given, epochs, **last) for s in seeds for given, epochs in tried]
    fits = fitted(made, X[train], y[train])
    together = recordings(name)[test]
    pieces, told, spent = [], [], []
    for k, seed in enumerate(seeds):
        of_seed = fits[k * len(tried) : (k + 1) * len(tried)]
        right = np.array([labels_of(one.estimator, X[test]) == y[test] for one in of_seed])
        names = np.random.default_rng(seed).permutation(np.unique(together))
        first = np.isin(together, names[: len(names) // 2])
        pieces.append([])
        told.append([])
        for half in (first, ~first):
            best = int(np.argmax(right[:, half].mean(axis=1)))
            pieces[-1].append((of_seed[best].estimator, test[~half]))
            given, epochs = tried[best]
            told[-1].append({**varied(grid, given), "epochs": epochs})
        spent.append(of_seed[best].fit_time)
    return pieces, told, spent


def varied(grid, given):
    """The parameter that differs within a grid."""
    name = next(key for key in given if len({str(g[key]) for g in grid}) > 1)
    return {name.removeprefix("method__"): given[name]}


def grid_of(name, row):
    grid = GRIDS["joint" if row in LATE_FUSIONS else row]
    if name in ENCODED:
        grid = [{**given, "encoders": ENCODED[name][1]} for given in grid]
    if grid[0].get("fusion") in ("gated", "film"):
        grid = [{**given, "fusion__conditioning": CONDITIONING[name]} for given in grid]
    return grid


def late_fusion(name, row, seeds):
    X, y, _, train, _ = load(name)
    combined = Apart(prior="once" if row == LATE_FUSIONS[0] else "each")
    each, told, spent = {}, {}, 0.0
    for modality in X:
        grid = grid_of(name, row)
        if name in ENCODED:
            grid = [{**g, "encoders": {modality: g["encoders"][modality]}} for g in grid]
        found = pieces_of(name, row, grid, only(X, modality), seeds)
        each[modality], told[modality] = found[:2]
        spent = spent + np.array(found[2])
    pieces = [
        [
            (
                clone(combined).fit_from_experts(
                    {m: each[m][k][part][0] for m in X}, X[train], y[train]
                ),
                rows,
            )
            for part, (_, rows) in enumerate(next(iter(each.values()))[k])
        ]
        for k in range(len(seeds))
    ]
    return pieces, [{m: told[m][k] for m in X} for k in range(len(seeds))], list(spent)


def rival(name, row, seeds):
    X, y, groups, train, test = load(name)
    pieces, spent = [], []
    for seed in seeds:
        model = RIVALS[row](seed)
        given = groups_for(model, groups, train)
        before = time.process_time()
        pieces.append([(model.fit(X[train], y[train], **given), test)])
        spent.append(time.process_time() - before)
    return pieces, [None] * len(seeds), spent


def measure(name, row):
    """Results of all seeds of a row on a set."""
    torch.set_num_threads(1)
    X, y, _, train, test = load(name)
    seeds = list(range(n_seeds(name, row)))
    start = time.process_time()
    if row in LATE_FUSIONS:
        pieces, told, spent = late_fusion(name, row, seeds)
    elif row in RIVALS and row not in GRIDS:
        pieces, told, spent = rival(name, row, seeds)
    else:
        pieces, told, spent = pieces_of(name, row, grid_of(name, row), X, seeds)
    seconds = time.process_time() - start
    place = {sample: k for k, sample in enumerate(test)}
    found = []
    for parts, choice, fit_seconds in zip(pieces, told, spent, strict=True):
        predicted = np.empty(len(test), dtype=y.dtype)
        alone, probes = {}, {}
        for model, rows in parts:
            predicted[[place[i] for i in rows]] = labels_of(model, X[rows])
            if not hasattr(model, "transform_by_modality"):
                continue
            share = len(rows) / len(test)
            for of, values in [
                (alone, model.score_by_modality(X[rows], y[rows])),
                (probes, probe(model, X, y, train, rows)),
            ]:
                for modality, value in values.items():
                    of[modality] = of.get(modality, 0.0) + 100 * share * value
        found.append(
            {
                "chosen": choice,
                "accuracy": round(100 * accuracy_score(y[test], predicted), 3),
                "macro_f1": round(100 * f1_score(y[test], predicted, average="macro"), 3),
                "alone": {m: round(float(v), 2) for m, v in alone.items()},
                "probe": {m: round(float(v), 2) for m, v in probes.items()},
                "last_fit": round(float(fit_seconds), 3),
                "right": packed(predicted == y[test]),
            }
        )
    return {"seeds": found, "seconds": round(seconds, 1)}


def probe(model, X, y, train, rows):
    """Test accuracy of a logistic regression on the frozen features of each encoder."""
    Z_train, Z_test = model.transform_by_modality(X[train]), model.transform_by_modality(X[rows])
    scores = {}
    for name, Z in Z_train.items():
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
        scores[name] = reader.fit(Z, y[train]).score(Z_test[name], y[rows])
    return scores


def packed(right):
    return np.packbits(right).tobytes().hex()


# Runs


def results(path=RESULTS):
    lines = path.read_text().splitlines() if path.exists() else []
    return {tuple(key): value for key, value in map(json.loads, lines)}


def append(path, key, value):
    """Write one line; several processes may do so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps([key, value]) + "\n")


def run_one(path, name, row):
    """Measure and append; whether that went well. What fails is told, and tried again next time."""
    if (name, row) in results(path):  # by another process, since
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = measure(name, row)
        except Exception as error:
            print(f"{name} / {row} failed: {error!r}", flush=True)
            return False
        append(path, (name, row), value)
        if (name, "about") not in results(path):
            append(path, (name, "about"), about(name))
    mean = np.mean([s["accuracy"] for s in value["seeds"]])
    print(f"{name} / {row}: {mean:.1f}, {value['seconds']} s", flush=True)
    return True


def run(path, sets, rows, n_jobs):
    wanted = [(n, r) for n, r in jobs() if n in sets and (rows is None or r in rows)]
    missing = [key for key in wanted if key not in results(path)]
    went_well = Parallel(n_jobs=n_jobs)(delayed(run_one)(path, *key) for key in missing)
    if not all(went_well):
        raise SystemExit(f"{went_well.count(False)} of {len(missing)} failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="+", choices=["run", "show"])
    every = [*SETS, *ENCODED]
    parser.add_argument("--sets", nargs="+", choices=every, default=every)
    parser.add_argument("--rows", nargs="+", choices=[*BESIDE, *GRIDS])
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.rst, docs")
    given = parser.parse_args()
    if "run" in given.what:
        run(given.results, given.sets, given.rows, given.n_jobs)
    if "show" in given.what:
        from reproduce_page import page, write_documentation  # which imports this module

        text = page(results(given.results))
        print(text)
        if given.write:
            (HERE / "RESULTS.rst").write_text(text)
            write_documentation(results(given.results))


if __name__ == "__main__":
    main()
