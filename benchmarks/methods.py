"""All methods on four real data sets, by the same protocol, beside their rivals.

Each method has six settings: three of its own and two numbers of epochs. For each of five seeds a
validation part, a fifth of the training part, is cut off by classes, or by groups where there are
any, and what is left is cut to the size of the smallest of the five; the settings with the best
validation accuracy are fitted on the whole training part with that seed, and the test part is
scored once. The split into training and test is the published one. The
rivals are not tuned, or choose inside the training part.

A method is called better, or worse, than joint* (joint training with unimodal losses) or late
fusion only where the 95 % interval of the difference, over test samples (or groups) with the mean
of five seeds each, lies on one side of 0.

``python benchmarks/methods.py run show`` needs the real data (folder in INFOREG_SK_DATA, or
../shared/data). Results are appended to ``benchmarks/results/methods.jsonl``; what is there already
is not run again. ``show --write`` writes ``benchmarks/METHODS.rst``.
"""

import argparse
import json
import platform
import textwrap
import time
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import sklearn
import torch
from rivals import ROWS as RIVALS
from rivals import groups_for, load, text_table
from sklearn.base import clone
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit
from skorch.dataset import ValidSplit

import inforeg_sk
from inforeg_sk import MultimodalClassifier
from inforeg_sk.model_selection.fits import fit_all

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "methods.jsonl"
SETS = ("av digits", "UTD-MHAD", "ROSMAP", "stress")
N_SEEDS = 5
EPOCHS = (30, 100)


def settings(method, name=None, values=(None,), **fixed):
    """Three settings of a method: the parameters of a classifier, but for the epochs."""
    return [{"method": method, **fixed, **({name: v} if name else {})} for v in values]


RATES = (3e-4, 1e-3, 3e-3)
#: Three settings of each method. Those without a parameter of their own choose the learning rate.
GRIDS = {
    "joint": settings("joint", "lr", RATES),
    "joint*": settings("inforeg", "lr", RATES, method__alpha=0.0),
    "InfoReg": settings("inforeg", "method__alpha", (1.0, 3.0, 10.0), method__unimodal_weight=0.0),
    "InfoReg*": settings("inforeg", "method__alpha", (1.0, 3.0, 10.0)),
    "OGM-GE": settings("ogm-ge", "method__alpha", (0.1, 0.4, 0.8)),
    "AGM": settings("agm", "method__alpha", (0.5, 1.0, 2.5), method__zero="features"),
    "PMR": settings("pmr", "method__alpha", (0.5, 1.0, 2.0)),
    "G-Blending": settings("g-blending", "lr", RATES, train_split=ValidSplit(10)),
    "MMPareto": settings("mmpareto", "method__gamma", (1.0, 1.5, 2.5)),
    "MMPareto, uniform": settings(
        "mmpareto", "method__gamma", (1.0, 1.5, 2.5), method__pareto=False
    ),
    "Greedy, feature-level": settings("greedy", "method__threshold", (0.01, 0.03, 0.1)),
    "DGL": settings("dgl", "lr", RATES),
    "TCMax": settings("tcmax", "lr", RATES),
    "OPM": settings("opm", "method__q", (0.2, 0.5, 0.8)),
    "D&R": settings("dr", "method__every", (5, 10, 20), train_split=ValidSplit(10)),
}
BESIDE = (
    "majority", "best single", "linear on all", "stacked linear", "stacked trees", "late fusion",
    "pool",
)  # fmt: skip
REFERENCES = ("joint*", "late fusion")


def estimators(row, seed):
    """All settings of a method, with the epochs (list of classifier)."""
    return [
        MultimodalClassifier(random_state=seed, max_epochs=epochs).set_params(**given)
        for given in GRIDS[row]
        for epochs in EPOCHS
    ]


def validation(y, groups, rows, seed):
    """Rows to fit on and to choose on."""
    kind = StratifiedShuffleSplit if groups is None else GroupShuffleSplit
    splitter = kind(1, test_size=0.2, random_state=seed)
    of_rows = None if groups is None else groups[rows]
    fit, choose = next(splitter.split(np.zeros(len(rows)), y[rows], of_rows))
    return rows[fit], rows[choose]


def right(model, X, y, rows):
    return model.classes_[model.predict_proba(X[rows]).argmax(axis=1)] == y[rows]


def measure(name, row):
    """Results of five seeds (list of dict)."""
    torch.set_num_threads(1)
    X, y, groups, splits = load(name)
    train, test = splits[0]
    start = time.process_time()
    if row in GRIDS:
        models, choices, spent = chosen(row, X, y, groups, train)
    else:
        models, choices, spent = [], [None] * N_SEEDS, []
        for seed in range(N_SEEDS):
            model = RIVALS[row](seed)
            given = groups_for(model, groups, train)
            before = time.process_time()
            models.append(model.fit(X[train], y[train], **given))
            spent.append(time.process_time() - before)
    found = []
    for model, choice, seconds in zip(models, choices, spent, strict=True):
        hits = right(model, X, y, test)
        alone = {}
        if row in GRIDS:
            alone = model.score_by_modality(X[test], y[test])
        found.append(
            {
                "chosen": choice,
                "accuracy": round(100 * float(hits.mean()), 3),
                "alone": {m: round(100 * float(v), 2) for m, v in alone.items()},
                "seconds_of_last_fit": round(seconds, 3),
                "right": "".join(map(str, hits.astype(int))),
            }
        )
    return {"seeds": found, "seconds": round(time.process_time() - start, 1)}


def chosen(row, X, y, groups, train):
    """Fit all settings of all seeds together, choose on validation data, fit again."""
    parts = [validation(y, groups, train, seed) for seed in range(N_SEEDS)]
    # Parts of one size, so that fits with the same settings are made together.
    size = min(len(fit) for fit, _ in parts)
    parts = [
        (np.sort(np.random.default_rng(seed).permutation(fit)[:size]), choose)
        for seed, (fit, choose) in enumerate(parts)
    ]
    made = [(e, seed) for seed in range(N_SEEDS) for e in estimators(row, seed)]
    fits = fit_all([clone(e) for e, _ in made], X, y, [parts[seed][0] for _, seed in made])
    scores = []
    for one, (_, seed) in zip(fits, made, strict=True):
        if one.error is not None:
            raise one.error
        scores.append(right(one.estimator, X, y, parts[seed][1]).mean())
    per_seed = len(made) // N_SEEDS
    best = []
    for seed in range(N_SEEDS):
        of_seed = scores[seed * per_seed : (seed + 1) * per_seed]
        best.append(made[seed * per_seed + int(np.argmax(of_seed))][0])
    models, spent = [], []
    for estimator in best:
        before = time.process_time()
        models.append(clone(estimator).fit(X[train], y[train]))
        spent.append(time.process_time() - before)
    return models, [describe(row, e) for e in best], spent


def describe(row, estimator):
    given = estimator.get_params(deep=False)
    name = next(key for key in GRIDS[row][0] if len({str(g[key]) for g in GRIDS[row]}) > 1)
    return {name.removeprefix("method__"): given[name], "max_epochs": given["max_epochs"]}


# Runs


def results():
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {tuple(key): value for key, value in map(json.loads, lines)}


def run(sets, rows):
    done = results()
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        for row in rows:
            for name in sets:
                if (name, row) in done:
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    value = measure(name, row)
                file.write(json.dumps([[name, row], value]) + "\n")
                file.flush()
                mean = np.mean([s["accuracy"] for s in value["seeds"]])
                print(name, row, f"{mean:.1f} {value['seconds']} s", flush=True)


# The page


def bits(value):
    """Whether each test sample was right, by seed (n_seeds, n_samples)."""
    return np.array([[c == "1" for c in s["right"]] for s in value["seeds"]], dtype=float)


def difference(mine, theirs, groups):
    """Mean difference in points, and half of its 95 % interval over samples or groups."""
    each = 100 * (bits(mine) - bits(theirs)).mean(axis=0)
    if groups is None:
        return each.mean(), 1.96 * each.std(ddof=1) / np.sqrt(len(each))
    # Of groups of unequal size: the sum of deviations is what varies.
    sums = np.array([(each[groups == g] - each.mean()).sum() for g in np.unique(groups)])
    n = len(sums)
    return each.mean(), 1.96 * np.sqrt(n / (n - 1) * (sums**2).sum()) / len(each)


def verdict(done, name, row):
    """How a method compares with the better of the references."""
    _, _, groups, splits = load(name)
    of_test = None if groups is None else groups[splits[0][1]]
    gaps = [difference(done[name, row], done[name, r], of_test) for r in REFERENCES if r != row]
    mean, half = min(gaps)
    word = "better" if all(m > h for m, h in gaps) else "worse" if mean < -half else "no difference"
    return mean, half, word


def page():
    done = results()
    sets = [s for s in SETS if any(key[0] == s for key in done)]
    rows = [r for r in (*BESIDE, *GRIDS) if any(key[1] == r for key in done)]
    text = [
        "The methods",
        "===========",
        "",
        f"Made by ``python benchmarks/methods.py run show --write`` on {date.today()}: inforeg_sk "
        f"{inforeg_sk.__version__}, torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"Python {platform.python_version()}, one thread. The protocol is in the head of that "
        f"file: {N_SEEDS} seeds, {len(EPOCHS) * 3} settings a method, chosen on validation data "
        "cut from the training part; the test part is scored once. The optimizer is the default, "
        "DecayAdamW, which divides most of a slowly changing factor on the gradients out again: "
        "methods that scale gradients were made for SGD, and do less here.",
        "",
    ]

    def spread(name, row):
        found = [s["accuracy"] for s in done[name, row]["seeds"]]
        return f"{np.mean(found):.1f} ({np.std(found, ddof=1):.1f})"

    def compared(name, row):
        if any((name, reference) not in done for reference in REFERENCES):
            return "-"
        mean, half, word = verdict(done, name, row)
        return f"{mean:+.1f} ± {half:.1f} {word}"

    def weakest(name, row):
        each = [s["alone"] for s in done[name, row]["seeds"]]
        means = {m: np.mean([a[m] for a in each]) for m in each[0]}
        least = min(means, key=means.get)
        return f"{means[least]:.1f} {least}"

    def seconds(name, row):
        return f"{np.mean([s['seconds_of_last_fit'] for s in done[name, row]['seeds']]):.2f}"

    trained = [r for r in rows if r in GRIDS]
    unadjusted = (
        "In points, with half of the 95 % interval; of the two differences the smaller one. "
        '"Better" is better than both. Intervals are not adjusted for their number: of a hundred '
        "comparisons without a difference, five would lie beside 0."
    )
    for title, lead, cell, shown in [
        ("Accuracy on the test part in %: mean and standard deviation over the seeds",
         None, spread, rows),
        ("Against the better of joint* and late fusion", unadjusted, compared,
         [r for r in rows if r in trained or r == "pool"]),
        ("The weakest modality inside the network",
         "Accuracy of its unimodal logits in %.", weakest, trained),
        ("CPU seconds of the last fit, with the chosen epochs", None, seconds, rows),
    ]:  # fmt: skip
        text += [title, "-" * len(title), "", *([] if lead is None else [lead, ""])]
        body = [[r, *(cell(n, r) if (n, r) in done else "-" for n in sets)] for r in shown]
        text += text_table(["", *sets], body)
    return "\n".join(text)


#: The page of docs/methods of a row.
PAGES = {
    "OGM-GE": "ogm_ge",
    "AGM": "agm",
    "PMR": "pmr",
    "G-Blending": "g_blending",
    "MMPareto": "mmpareto",
    "Greedy, feature-level": "greedy",
    "DGL": "dgl",
    "TCMax": "tcmax",
    "OPM": "opm",
    "D&R": "diagnosing_relearning",
}
_HEAD = "When it helps"


def write_sections(done):
    """The last section of each method's page: what was measured, in one table."""
    for row, page in PAGES.items():
        path = HERE.parent / "docs" / "methods" / f"{page}.rst"
        before = path.read_text().partition(f"\n{_HEAD}\n")[0].rstrip("\n")
        path.write_text(f"{before}\n\n{_HEAD}\n{'-' * len(_HEAD)}\n\n{section(done, row)}\n")


def section(done, row):
    body, against = [], {"joint": [], "joint*": [], "late fusion": []}
    for name in [s for s in SETS if (s, row) in done]:
        _, _, groups, splits = load(name)
        of_test = None if groups is None else groups[splits[0][1]]
        cells = [f"{100 * bits(done[name, row]).mean():.1f}"]
        for other, found in against.items():
            mean, half = difference(done[name, row], done[name, other], of_test)
            cells.append(f"{mean:+.1f} ± {half:.1f}")
            word = "better" if mean > half else "worse" if mean < -half else None
            if word is not None:
                found.append((word, name))
        body.append([name, *cells])
    if not body:
        return "It has not been measured yet."
    told = []
    for other, found in against.items():
        for word in ("better", "worse"):
            where = ", ".join(name for w, name in found if w == word)
            if where:
                told.append(f"{word} than {other} on {where}")
    text = "Beyond the noise of single comparisons it is " + "; ".join(told) + "." if told else (
        "No difference is beyond the noise."
    )  # fmt: skip
    head = ["data set", "accuracy", "over joint", "over joint*", "over late fusion"]
    lead = (
        "Accuracy on test data in %, and differences in points with half of the 95 % interval\n"
        "(``benchmarks/METHODS.rst``: five seeds, settings chosen on validation data, the default\n"
        "optimizer; joint* is joint training with unimodal losses):"
    )
    return "\n".join([lead, "", *text_table(head, body), *textwrap.wrap(text, 100)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="+", choices=["run", "show"])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--rows", nargs="+", default=[*BESIDE, *GRIDS])
    parser.add_argument(
        "--write", action="store_true", help="write benchmarks/METHODS.rst, docs/methods"
    )
    given = parser.parse_args()
    if "run" in given.what:
        run(given.sets, given.rows)
    if "show" in given.what:
        text = page()
        print(text)
        if given.write:
            (HERE / "METHODS.rst").write_text(text)
            write_sections(results())


if __name__ == "__main__":
    main()
