"""Accuracy of the estimators of this library beside their rivals, on real tables and made ones.

Rows: the most frequent class; the best single modality (logistic regression, the modality chosen
inside the training part); logistic regression on everything; one logistic regression, or one
ExtraTrees, a modality, stacked out of fold; late fusion of networks trained apart, with the prior
of the classes counted once or with each; joint training, with unimodal losses (joint*), with
InfoReg (the default), with a hidden layer behind the concatenation (mlp); and pools. "Old rivals"
are the rows up to late fusion and joint*: what a user could do without a pool.

Nothing is tuned on test data: all rows are untuned, or choose inside the training part. Three
splits each; of CMU-MOSI, whose training features were made with the training labels, the one
published split, with three seeds.

``python benchmarks/rivals.py run show`` needs the real data (folder in INFOREG_SK_DATA, or
../shared/data) and librosa. Results are appended to ``benchmarks/results/rivals.jsonl``; what is
there already is not run again. ``show --write`` writes ``benchmarks/RIVALS.rst``.
"""

import argparse
import importlib.util
import json
import platform
import time
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import sklearn
import torch
from joblib import Parallel, delayed
from rst_table import rst_table
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tasks import HOME, av_digits, cmu_mosi_whole, cut, spoken_digits, utd_mhad

import inforeg_sk
from inforeg_sk import (
    EvidencePool,
    LateFusionClassifier,
    ModalitiesToColumns,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    StackedModalitiesClassifier,
)
from inforeg_sk.datasets import make_multimodal_classification

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "rivals.jsonl"
N_SPLITS = 3

# Data


def shuffled(y, groups, share):
    """Splits with a share of the samples for the test, by classes or by groups."""
    kind = StratifiedShuffleSplit if groups is None else GroupShuffleSplit
    splitter = kind(N_SPLITS, test_size=share, random_state=0)
    return list(splitter.split(np.zeros(len(y)), y, groups))


def published_and_others(X, y, groups, train, test):
    share = len(test) / (len(train) + len(test))
    if groups is not None:
        share = len(np.unique(groups[test])) / len(np.unique(groups))
    return X, y, groups, [(train, test), *shuffled(y, groups, share)[: N_SPLITS - 1]]


def further(name, grouped=True):
    """One of the sets of ../shared/data/more."""
    spec = importlib.util.spec_from_file_location("load", HOME / "more" / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    X, y, train, test, groups = module.load(name)
    if "speaker" in X:  # one column
        X["speaker"] = X["speaker"][:, None]
    return published_and_others(ModalityDict(X), y, groups if grouped else None, train, test)


def of_task(load, groups=None):
    ((X, y, _, (train, test)),) = load()
    return published_and_others(X, y, groups, train, test)


def utd():
    with np.load(HOME / "utd_mhad" / "utd_mhad.npz") as file:
        return of_task(utd_mhad, file["subject"])


def spoken():
    paths = sorted((HOME / "fsdd").glob("*.wav"))
    return of_task(spoken_digits, np.array([path.stem.split("_")[1] for path in paths]))


def mosi():
    X, y, ((train, test),) = cmu_mosi_whole()
    return X, y, None, [(train, test)] * N_SPLITS


def table(data, *at):
    X, y = cut(data.data, *at), data.target
    return X, y, None, shuffled(y, None, 0.3)


def interaction(n_classes):
    """Only both modalities together tell the class: the sum of two digits modulo `n_classes`."""
    X, y = make_multimodal_classification(
        1500,
        n_classes=n_classes,
        modalities={"a": {"strength": 4.0}, "b": {"strength": 4.0}},
        redundancy=0.0,
        interaction=1.0,
        random_state=0,
    )
    return X, y, None, shuffled(y, None, 1 / 3)


REAL = {
    "av digits": lambda: of_task(av_digits),
    "CMU-MOSI": mosi,
    "UTD-MHAD": utd,
    "spoken digits": spoken,
    "ROSMAP": lambda: further("rosmap"),
    "prokaryotic": lambda: further("prokaryotic"),
    "leaves": lambda: further("leaves100"),
    "stress": lambda: further("stress_features"),
    "MUStARD": lambda: further("mustard_text", grouped=False),  # split by samples, as published
    "breast cancer": lambda: table(load_breast_cancer(), 10, 20),
    "wine": lambda: table(load_wine(), 6),
    "digits, halves": lambda: table(load_digits(), 32),
}
MADE = {"XOR": lambda: interaction(2), "sum modulo 3": lambda: interaction(3)}
SETS = {**REAL, **MADE}


# Rows


class BestSingle(ClassifierMixin, BaseEstimator):
    """Logistic regression on the modality that is best by cross-validation in the training part."""

    def fit(self, X, y, groups=None):
        scores = {}
        for name in X:
            model = linear(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scores[name] = cross_val_score(model, X, y, cv=3).mean()
        self.model_ = linear(max(scores, key=scores.get)).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


def linear(name=None):
    return make_pipeline(
        ModalitiesToColumns(modalities=None if name is None else [name]),
        StandardScaler(),
        LogisticRegressionCV(
            Cs=np.logspace(-4, 2, 7), cv=3, max_iter=1000, scoring="neg_log_loss",
            l1_ratios=(0,), use_legacy_attributes=False,
        ),
    )  # fmt: skip


def trees(seed):
    return ExtraTreesClassifier(300, min_samples_leaf=2, random_state=seed)


ROWS = {
    "majority": lambda s: make_pipeline(ModalitiesToColumns(), DummyClassifier(strategy="prior")),
    "best single": lambda s: BestSingle(),
    "linear on all": lambda s: linear(),
    "stacked linear": lambda s: StackedModalitiesClassifier(),
    "stacked trees": lambda s: StackedModalitiesClassifier(trees(s)),
    "late fusion": lambda s: LateFusionClassifier(MultimodalClassifier(random_state=s)),
    "late fusion, prior each": lambda s: LateFusionClassifier(
        MultimodalClassifier(random_state=s), prior="each"
    ),
    "joint": lambda s: MultimodalClassifier(random_state=s),
    "joint*": lambda s: MultimodalInfoRegClassifier(alpha=0.0, random_state=s),
    "InfoReg*": lambda s: MultimodalInfoRegClassifier(random_state=s),
    "mlp fusion": lambda s: MultimodalInfoRegClassifier(fusion="mlp", random_state=s),
    "pool, light": lambda s: EvidencePool(experts="light", random_state=s),
    "pool": lambda s: EvidencePool(random_state=s),
    "pool, thorough": lambda s: EvidencePool(experts="thorough", random_state=s),
}
OLD = ["best single", "linear on all", "stacked linear", "late fusion", "joint", "joint*"]
TAKES_GROUPS = (EvidencePool, StackedModalitiesClassifier, LateFusionClassifier)
_loaded = {}


def load(name):
    if name not in _loaded:
        _loaded[name] = SETS[name]()
    return _loaded[name]


def reader(seed):
    """Texts as 100 components of their TF-IDF, speakers as columns of 0 and 1."""

    def words():
        return make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
            TruncatedSVD(100, random_state=seed),
        )

    speaker = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ModalityTransformer({"utterance": words(), "context": words(), "speaker": speaker})


#: What stands in front of every row, fitted on the training part.
IN_FRONT = {"MUStARD": reader}


def measure(name, split, row):
    """Accuracy, log-loss, calibration error, CPU seconds, and which test samples were right."""
    torch.set_num_threads(1)
    X, y, groups, splits = load(name)
    train, test = splits[split]
    model = ROWS[row](split)
    if name in IN_FRONT:
        model = make_pipeline(IN_FRONT[name](split), model)
    given = groups_for(model, groups, train)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X[train], y[train], **given)
        proba = model.predict_proba(X[test])
    spent = time.process_time() - start
    classes = model.classes_
    right = classes[proba.argmax(axis=1)] == y[test]
    clipped = np.clip(proba.astype(float), 1e-7, None)
    clipped /= clipped.sum(axis=1, keepdims=True)
    return {
        "accuracy": round(100 * float(right.mean()), 3),
        "log_loss": round(float(log_loss(y[test], clipped, labels=classes)), 4),
        "calibration": round(calibration_error(proba.max(axis=1), right), 4),
        "seconds": round(spent, 2),
        "right": "".join(map(str, right.astype(int))),
    }


def groups_for(model, groups, train):
    """Arguments of ``fit`` for groups, where a model takes them; it gets as many folds at most."""
    if groups is None or not isinstance(model, TAKES_GROUPS):
        return {}
    n_groups = len(np.unique(groups[train]))
    if "cv" in model.get_params(deep=False) and n_groups < 5:
        model.set_params(cv=n_groups)
    return {"groups": groups[train]}


def calibration_error(confidence, right, n_bins=10):
    """Expected calibration error over bins of as many samples each."""
    order = np.argsort(confidence, kind="stable")
    bins = np.array_split(order, n_bins)
    gaps = [len(b) * abs(confidence[b].mean() - right[b].mean()) for b in bins if len(b)]
    return float(sum(gaps) / len(order))


# Runs


def results():
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {tuple(key): value for key, value in map(json.loads, lines)}


def run(sets, rows, n_jobs):
    done = results()
    wanted = [(s, k, r) for r in rows for s in sets for k in range(N_SPLITS)]
    missing = [key for key in wanted if key not in done]
    found = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(measure)(*k) for k in missing)
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        for key, value in zip(missing, found, strict=True):
            file.write(json.dumps([key, value]) + "\n")
            file.flush()
            print(*key, value["accuracy"], f"{value['seconds']} s", flush=True)


# The page


def bits(value):
    return np.array([c == "1" for c in value["right"]])


def margins(done, name, row, splits):
    """Margin over the old rivals by split: the best in hindsight, and one chosen honestly.

    Honest: the rival is the best one on half of the test samples, and the margin is that on the
    other half; both halves take each part in turn. In points.
    """
    hindsight, honest, errors = [], [], []
    for k in splits:
        mine = bits(done[name, k, row])
        rivals = {r: bits(done[name, k, r]) for r in OLD if r != row}
        best = max(rivals.values(), key=np.mean)
        hindsight.append(100 * (mine.mean() - best.mean()))
        half = np.random.default_rng(k).permutation(len(mine)) % 2 == 0
        both = []
        for choose, compare in ((half, ~half), (~half, half)):
            chosen = max(rivals.values(), key=lambda right, c=choose: right[c].mean())
            both.append(mine[compare].mean() - chosen[compare].mean())
        honest.append(100 * np.mean(both))
        difference = mine.astype(float) - best
        errors.append(100 * difference.std(ddof=1) / np.sqrt(len(mine)))
    return hindsight, honest, errors


def interval(name, row, done, splits):
    """Mean margin in hindsight with a 95 % interval over test samples, of one split's size.

    Splits overlap, so that they do not shrink the interval.
    """
    hindsight, _, errors = margins(done, name, row, splits)
    mean, error = np.mean(hindsight), np.mean(errors)
    return mean, mean - 1.96 * error, mean + 1.96 * error


def values_by_row(done, sets, rows, key, digits):
    """A table of means over the splits."""
    head = ["row", *sets]
    body = []
    for row in rows:
        cells = []
        for name in sets:
            found = [done[name, k, row][key] for k in range(N_SPLITS) if (name, k, row) in done]
            whole = len(found) == N_SPLITS
            cells.append(f"{np.mean(found):.{digits}f}" if whole else "-")
        body.append([row, *cells])
    return rst_table(head, body)


def page():
    from rivals_further import sections  # which imports this module

    done = results()
    rows = [r for r in ROWS if any(key[2] == r for key in done)]
    sets = [s for s in SETS if any(key[0] == s for key in done)]
    half = (len(sets) + 1) // 2
    text = [
        "Beside the rivals",
        "=================",
        "",
        f"Made by ``python benchmarks/rivals.py run show --write`` on {date.today()}: inforeg_sk "
        f"{inforeg_sk.__version__}, torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"Python {platform.python_version()}, one thread a fit. Means over {N_SPLITS} splits (of "
        "CMU-MOSI: seeds). No row was tuned, or it chooses inside the training part. The rows are "
        "described in ``benchmarks/rivals.py``; joint* has unimodal losses, InfoReg* is "
        "``MultimodalInfoRegClassifier()`` as it is, and the pools are ``EvidencePool()`` with "
        "its lists of experts. A dash: not run on all splits. Other programs ran on the machine, "
        "so that times are good to some tens of percent.",
        "",
    ]
    measures = [("Accuracy in %", "accuracy", 1), ("Log-loss", "log_loss", 3),
                ("Expected calibration error, ten bins of as many samples", "calibration", 3),
                ("CPU seconds of fit and prediction", "seconds", 1)]  # fmt: skip
    for title, key, digits in measures:
        text += [title, "-" * len(title), ""]
        for part in (sets[:half], sets[half:]):
            text += values_by_row(done, part, rows, key, digits)
    text += margins_section(done, sets, rows)
    text += sections()
    return "\n".join(text)


def margins_section(done, sets, rows):
    title = "Margins over the old rivals"
    text = [
        title,
        "-" * len(title),
        "",
        f'In points of accuracy. The old rivals are {", ".join(OLD)}. "Hindsight" is the margin '
        'over the best of them on the same test samples, a bar that luck raises; "honest" the '
        "margin over the one that is best on half of the test samples, on the other half. The "
        "interval is that of the margin in hindsight, paired over the test samples of one split "
        "(95 %; splits overlap, so that three of them do not count as three times the samples).",
        "",
    ]
    text += means_over_real_sets(done, sets, rows)
    for row in [r for r in rows if r in ("InfoReg*", "mlp fusion") or r.startswith("pool")]:
        body = []
        for name in whole(done, sets, row):
            _, honest, _ = margins(done, name, row, range(N_SPLITS))
            mean, low, high = interval(name, row, done, range(N_SPLITS))
            body.append([name, f"{mean:+.1f}", f"{low:+.1f} to {high:+.1f}",
                         f"{np.mean(honest):+.1f}"])  # fmt: skip
        if body:
            text += [f"**{row}**", "", *rst_table(["set", "hindsight", "interval", "honest"], body)]
    return text


def whole(done, sets, row):
    """The sets on which a row and the old rivals were run on all splits."""
    needed = [(k, r) for k in range(N_SPLITS) for r in (row, *OLD)]
    return [name for name in sets if all((name, *key) in done for key in needed)]


def means_over_real_sets(done, sets, rows):
    """A table of the rows that were run on all real sets: means over these."""
    real, body = [s for s in sets if s in REAL], []
    for row in rows:
        if whole(done, real, row) != real:
            continue
        accuracy = [done[s, k, row]["accuracy"] for s in real for k in range(N_SPLITS)]
        found = [margins(done, s, row, range(N_SPLITS))[:2] for s in real]
        hindsight, honest = np.mean(found, axis=(0, 2))
        body.append([row, f"{np.mean(accuracy):.1f}", f"{hindsight:+.1f}", f"{honest:+.1f}"])
    head = ["row", "accuracy", "hindsight", "honest"]
    title = f"Means over the {len(real)} real sets; a rival is compared with the other five:"
    return [title, "", *rst_table(head, body)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("steps", nargs="+", choices=["run", "show"])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write benchmarks/RIVALS.rst")
    arguments = parser.parse_args()
    if "run" in arguments.steps:
        run(arguments.sets, arguments.rows, arguments.n_jobs)
    if "show" in arguments.steps:
        print(page())
        if arguments.write:
            (HERE / "RIVALS.rst").write_text(page())


if __name__ == "__main__":
    main()
