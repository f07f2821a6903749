"""How the defaults were chosen, and how they do beside logistic regression.

Five tasks: av digits (embedded), CMU-MOSI features, UTD-MHAD actions, real spoken digits paired
with scikit-learn's images, and ``tables``, the mean over six small tables (three of scikit-learn's
and three synthetic ones with much noise, little data or many features). Accuracy on validation
data decides, by a rule that was fixed before the runs; the official or held-out test data are
used once, for the report.

The rule. The regret of a configuration on a task is the best mean validation accuracy that any
configuration of its stage reached there, minus its own. A stage chooses the configuration with
the smallest regret, averaged over the tasks.

1. ``network``: a random sample of the grid `NETWORK` (encoder width and dropout, optimizer with
   weight decay, lr, epochs, batch size, unimodal weight, with and without regulation).
2. ``method``: all of `METHOD` (unimodal weight x regulation) at the network of stage 1.
3. ``report``: the defaults as they stand in the library, untuned, beside logistic regression on
   the concatenated features (scikit-learn's defaults, standardised the same way), on test data.
4. ``unseen``: the same on tables that took no part, by 5-fold cross-validation; they are those of
   the package pydataset (csv files of data sets that come with R), whose folder ``--tables``
   names.
5. ``prior``: the defaults with and without ``prior_offset``, by the same rule.
6. ``standardize``: the defaults with and without the network's own standardization, by the same
   rule; a sixth task, ``unscaled``, is the tables as they come, without the scaler that is in
   front everywhere else. The synthetic ones have columns in units from 0.01 to 1000 there.
7. ``fusion``: the defaults with the fusions "concat" and "mlp", by the same rule; a sixth task,
   ``interaction``, is two made tables whose classes only both modalities together tell.
8. ``sequences``: encoders of sequences at the defaults, on the validation data of three tasks.

Validation data: av digits its own; CMU-MOSI one half of the test videos (why: see
``examples/cmu_mosi.py``), and the other half is what the report uses; UTD-MHAD one of the four
training subjects, another one with each seed; spoken digits one of the four training speakers,
another one with each seed; tables one fold of five, another one with each seed.

Run it from the repository: ``python benchmarks/defaults.py network method report``. It needs the
real data (folder in INFOREG_SK_DATA, or ../shared/data) and librosa; results are appended to
``benchmarks/results/*.jsonl``, and what is there already is not run again.
"""

import argparse
import itertools
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from tasks import INTERACTION, TASKS, UNSCALED, cmu_mosi_whole, five_folds, load

from inforeg_sk import ModalityDict, ModalityTransformer, MultimodalInfoRegClassifier

HERE = Path(__file__).resolve().parent

NETWORK = {
    "encoders__hidden": [64, 128, 256],
    "encoders__dropout": [0.0, 0.2, 0.5],
    "optimizer": ["AdamW 0.01", "AdamW 1", "AdamW 3", "SGD 0.001", "SGD 0.01"],
    "lr": [0.0003, 0.001],
    "max_epochs": [60, 100],
    "batch_size": [32, 64],
    "unimodal_weight": [0.0, 0.3, 1.0],
    "regulation": ["none", "drift 3"],
}
# Name and weight decay. The grid of learning rates is AdamW's; SGD's are ten times as large.
OPTIMIZER = {
    "AdamW": {"optimizer": torch.optim.AdamW, "factor": 1},
    "SGD": {"optimizer": torch.optim.SGD, "factor": 10, "optimizer__momentum": 0.9},
}
# "coefficient" is the published pull with the published window; "drift" the portable one, with
# the window of the authors' code (mean of 10 epochs, zeros in front, open at first).
PAPER_WINDOW = {"window_smoothing": 1, "padding": "none", "first_epoch": "closed"}
CODE_WINDOW = {"window_smoothing": 10, "padding": "zeros", "first_epoch": "open"}
REGULATION = {
    "none": {"alpha": 0.0},
    "coefficient 1": {"alpha": 1.0, "pull": "gradient", **PAPER_WINDOW},
    "drift 1": {"alpha": 1.0, "pull": "decoupled", **CODE_WINDOW},
    "drift 3": {"alpha": 3.0, "pull": "decoupled", **CODE_WINDOW},
    "drift 10": {"alpha": 10.0, "pull": "decoupled", **CODE_WINDOW},
}
METHOD = {"unimodal_weight": [0.0, 0.3, 1.0], "regulation": list(REGULATION)}
N_NETWORKS = 40
PRIOR = [{"prior_offset": False}, {"prior_offset": True}]
STANDARDIZE = {"standardize": [False, True]}
FUSION = [{"fusion": "concat"}, {"fusion": "mlp"}]
SEEDS = {
    "network": [0, 1, 2],
    "method": [0, 1, 2, 3],
    "prior": [0, 1, 2, 3, 4],
    "standardize": [0, 1],
    "fusion": [0, 1, 2, 3, 4],
}
REPORT_SEEDS = [100, 101, 102, 103, 104]
# Tables for `unseen`: file, target, columns left out, column of the groups (the same person or
# household in several rows), where to cut (None: in the middle).
UNSEEN = [
    ("MASS/fgl", "type", [], None, None),
    ("MASS/crabs", "sp", ["index"], None, 1),
    ("MASS/biopsy", "class", ["ID"], None, None),
    ("MASS/birthwt", "low", ["bwt"], None, None),
    ("rpart/kyphosis", "Kyphosis", [], None, None),
    ("survival/pbc", "status", ["id", "time"], None, None),
    ("car/Womenlf", "partic", [], None, None),
    ("car/Chile", "vote", [], None, None),
    ("Ecdat/Participation", "lfp", [], None, None),
    ("Ecdat/Hdma", "deny", [], None, None),
    ("Ecdat/Yogurt", "choice", [], "id", None),
    ("plm/Males", "union", ["year"], "nr", None),
]
SEQUENCES = {
    "av_digits": ["audio"],
    "utd_mhad": ["depth", "inertial", "skeleton"],
    "spoken_digits": ["audio"],
}


# Fits


def classifier(settings, seed, scaled=True):
    settings = dict(settings)
    if "regulation" in settings:
        settings.update(REGULATION[settings.pop("regulation")])
    if "optimizer" in settings:
        name, decay = settings["optimizer"].split()
        chosen = dict(OPTIMIZER[name])
        settings["lr"] *= chosen.pop("factor")
        settings.update(chosen, optimizer__weight_decay=float(decay))
    return make_pipeline(
        ModalityTransformer(StandardScaler() if scaled else "passthrough"),
        MultimodalInfoRegClassifier(random_state=seed, **{"callbacks": "disable", **settings}),
    )


def logistic_regression():
    def concatenate(X):
        return np.concatenate([np.asarray(v).reshape(len(v), -1) for v in X.values()], axis=1)

    return make_pipeline(
        ModalityTransformer(StandardScaler()),
        FunctionTransformer(concatenate),
        LogisticRegression(max_iter=5000),
    )


def validate(task, settings, seed):
    """Validation accuracy in %, the mean over the task's problems; None: logistic regression."""
    scores = []
    for X, y, folds, _ in load(task):
        scaled = task not in UNSCALED
        model = logistic_regression() if settings is None else classifier(settings, seed, scaled)
        scores.append(evaluate(X, y, *folds[seed % len(folds)], model))
    return np.mean(scores)


def evaluate(X, y, train, test, model):
    """Test accuracy in %."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of joblib's memory-mapped, read-only arrays
        return 100 * model.fit(X[train], y[train]).score(X[test], y[test])


# Stages


def network_configurations():
    rng = np.random.default_rng(0)
    drawn = [{k: v[rng.integers(len(v))] for k, v in NETWORK.items()} for _ in range(N_NETWORKS)]
    return list({json.dumps(c): c for c in drawn}.values())


def method_configurations():
    start = choose("network")
    return [
        {**start, **dict(zip(METHOD, values, strict=True))}
        for values in itertools.product(*METHOD.values())
    ]


def prior_configurations():
    return PRIOR


def standardize_configurations():
    """The defaults but for `standardize`, whatever that is."""
    return [
        dict(zip(STANDARDIZE, v, strict=True)) for v in itertools.product(*STANDARDIZE.values())
    ]


def fusion_configurations():
    return FUSION


CONFIGURATIONS = {
    "network": network_configurations,
    "method": method_configurations,
    "prior": prior_configurations,
    "standardize": standardize_configurations,
    "fusion": fusion_configurations,
}
FURTHER = {"standardize": UNSCALED, "fusion": INTERACTION}


def tasks_of(stage):
    return [*TASKS, *FURTHER.get(stage, ())]


def results(stage):
    path = HERE / "results" / f"{stage}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {tuple(key): value for key, value in map(json.loads, lines)}


def run(stage, n_jobs):
    configurations, done = CONFIGURATIONS[stage](), results(stage)
    wanted = [
        (json.dumps(c), task, seed)
        for c in configurations
        for seed in SEEDS[stage]
        for task in tasks_of(stage)
    ]
    missing = [key for key in wanted if key not in done]
    path = HERE / "results" / f"{stage}.jsonl"
    path.parent.mkdir(exist_ok=True)
    jobs = (delayed(validate)(task, json.loads(c), seed) for c, task, seed in missing)
    scores = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    with path.open("a") as file:
        for key, score in zip(missing, scores, strict=True):
            file.write(json.dumps([key, round(float(score), 3)]) + "\n")
            file.flush()


def table(stage):
    """Configurations with their mean accuracy on each data set, and their regrets."""
    done = results(stage)
    configurations = CONFIGURATIONS[stage]()
    accuracy = np.array(
        [
            [
                np.mean([done[json.dumps(c), task, s] for s in SEEDS[stage]])
                for task in tasks_of(stage)
            ]
            for c in configurations
        ]
    )
    regret = (accuracy.max(axis=0) - accuracy).mean(axis=1)
    return configurations, accuracy, regret


def choose(stage):
    configurations, _, regret = table(stage)
    return configurations[int(regret.argmin())]


def show(stage, rows=15):
    configurations, accuracy, regret = table(stage)
    varied = [k for k in configurations[0] if len({str(c[k]) for c in configurations}) > 1]
    print(f"\nStage {stage}: {len(configurations)} configurations, {len(SEEDS[stage])} seeds")
    print("regret" + "".join(f"{task:>15}" for task in tasks_of(stage)))
    beside = [np.mean([validate(t, None, s) for s in SEEDS[stage]]) for t in tasks_of(stage)]
    print(f"{'':6}" + "".join(f"{a:>15.1f}" for a in beside) + "   logistic regression")
    for i in np.argsort(regret)[:rows]:
        cells = "".join(f"{a:>15.1f}" for a in accuracy[i])
        settings = ", ".join(f"{k.split('__')[-1]} {configurations[i][k]}" for k in varied)
        print(f"{regret[i]:6.2f}{cells}   {settings}")


def report(n_jobs):
    """The library's defaults beside logistic regression, on test data."""
    heading("Test accuracy in %")
    for task in TASKS:
        for X, y, _, fold in load(task):
            if fold is not None:
                beside_logistic_regression(task, X, y, [fold], n_jobs)
    beside_logistic_regression("cmu_mosi, all of test", *cmu_mosi_whole(), n_jobs)


def unseen(folder, n_jobs):
    """The same on tables that took no part in any choice, by cross-validation."""
    heading("5-fold cross-validated accuracy in %")
    for name, target, dropped, group, at in UNSEEN:
        frame = pd.read_csv(Path(folder) / f"{name}.csv", index_col=0).dropna()
        y = frame.pop(target).to_numpy()
        groups = None if group is None else frame.pop(group).to_numpy()
        frame = frame.drop(columns=dropped)
        at = at if at else frame.shape[1] // 2
        # Cut first: the columns of one category stay together.
        parts = {"first": frame.iloc[:, :at], "second": frame.iloc[:, at:]}
        X = ModalityDict(
            {k: pd.get_dummies(v, drop_first=True).to_numpy(float) for k, v in parts.items()}
        )
        beside_logistic_regression(name, X, y, five_folds(y, groups), n_jobs)


def sequences(n_jobs):
    """Encoders of sequences, else defaults, on validation data: what "auto" should take."""
    seeds = [0, 1]
    print(f"\nValidation accuracy in %, {len(seeds)} seeds (seconds a fit)")
    print(f"{'':<15}" + "".join(f"{task:>20}" for task in SEQUENCES))
    for encoder in ("mlp", "gru", "transformer"):
        cells = []
        for task, modalities in SEQUENCES.items():
            settings = {"encoders": dict.fromkeys(modalities, encoder)}
            start = time.perf_counter()
            scores = Parallel(n_jobs=n_jobs)(
                delayed(validate)(task, settings, seed) for seed in seeds
            )
            seconds = (time.perf_counter() - start) * min(n_jobs, len(seeds)) / len(seeds)
            cells.append(f"{np.mean(scores):.1f} ({seconds:.0f} s)")
        print(f"{encoder:<15}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def heading(title):
    print(f"\n{title}, {len(REPORT_SEEDS)} seeds")
    print(f"{'':<22}{'tested':>8}{'defaults':>14}{'logistic regr.':>16}{'difference':>12}")


def beside_logistic_regression(name, X, y, folds, n_jobs):
    scores = Parallel(n_jobs=n_jobs)(
        delayed(evaluate)(X, y, *fold, classifier({}, seed))
        for seed in REPORT_SEEDS
        for fold in folds
    )
    scores = np.reshape(scores, (len(REPORT_SEEDS), -1)).mean(axis=1)
    beside = np.mean([evaluate(X, y, *fold, logistic_regression()) for fold in folds])
    print(
        f"{name:<22}{sum(len(test) for _, test in folds):>8}"
        f"{scores.mean():>7.1f} +- {scores.std(ddof=1):3.1f}{beside:>16.1f}"
        f"{scores.mean() - beside:>+12.1f}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    stages = [
        "network",
        "method",
        "report",
        "unseen",
        "prior",
        "standardize",
        "fusion",
        "sequences",
    ]
    parser.add_argument("stages", nargs="+", choices=stages)
    parser.add_argument("--tables", help="folder of the csv files of pydataset, for `unseen`")
    parser.add_argument("--n-jobs", type=int, default=2)
    args = parser.parse_args()
    for stage in args.stages:
        if stage == "report":
            report(args.n_jobs)
        elif stage == "unseen":
            unseen(args.tables, args.n_jobs)
        elif stage == "sequences":
            sequences(args.n_jobs)
        else:
            run(stage, args.n_jobs)
            show(stage)


if __name__ == "__main__":
    main()
