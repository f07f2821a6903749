"""`diagnose` on real data: its verdicts, its learned shares, and whether its advice holds on test.

Each set is diagnosed on its training part; of the row that `diagnose` recommends and of all others
it compares, estimators are fitted on this part and scored on the test part, which `diagnose` never
saw. Results go to benchmarks/results/diagnosis_real, one file a set and step; what is there is not
run again. A section of benchmarks/DIAGNOSIS.rst is made of them.

    python benchmarks/diagnosis_real.py                  # all that is missing
    python benchmarks/diagnosis_real.py ROSMAP "av digits"
    python benchmarks/diagnosis_real.py --show ROSMAP    # the reports, as they print
"""

import argparse
import json
import sys
import textwrap
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from diagnosis import page as write_page
from rivals import IN_FRONT, load
from rst_table import rst_table
from sklearn.pipeline import make_pipeline
from tasks import HOME

from inforeg_sk import MultimodalClassifier
from inforeg_sk.datasets import load_av_digits, load_cmu_mosi
from inforeg_sk.inspection import DiagnosisReport, diagnose, learned_share
from inforeg_sk.inspection._compared import (
    LINEAR,
    MAJORITY,
    STACKED,
    compared_networks,
    fit_rival,
    subset_row,
)
from inforeg_sk.inspection._diagnose import _recommended
from inforeg_sk.inspection._task import Task
from inforeg_sk.inspection._verdicts import compare

RESULTS = Path(__file__).parent / "results" / "diagnosis_real"
RIVALS = ("majority", "best single", "linear on all", "stacked linear", "late fusion")
SEEDS, TEST_SEEDS, SHARE_SEEDS = [0, 1], [0, 1, 2], [0, 1, 2, 3, 4]
PROBES, SCORED = ("untrained", "joint", "alone"), ("scored_alone", "in_joint")
SGD = {
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "optimizer__weight_decay": 1e-4,
    "lr": 0.01,
    "max_epochs": 60,
}
#: Settings that are not the library's defaults.
SETTINGS = {"av digits": SGD}
UNIMODAL_LOSSES = {"method": "inforeg", "method__alpha": 0.0}
#: Groups where `rivals.load` has none, since the splits there do not need them.
GROUPS = {
    "av digits": lambda: load_av_digits().groups,
    "CMU-MOSI": lambda: load_cmu_mosi(HOME).groups,
}
#: What each set goes through; see `run_step`. The first three are those of the claims.
CLAIMED = ("ROSMAP", "prokaryotic", "av digits")
OTHERS = ("spoken digits", "UTD-MHAD", "leaves", "CMU-MOSI", "MUStARD", "stress")
#: Sets whose further splits are diagnosed, too: those where it takes a minute or two.
FURTHER = ("ROSMAP", "prokaryotic", "MUStARD", "spoken digits")
STEPS = {name: ["train", "test"] for name in (*CLAIMED, *OTHERS)}
for _name in CLAIMED:
    STEPS[_name] += ["shares", "train, unimodal losses" if _name == "av digits" else "whole"]
STEPS["CMU-MOSI"].append("test part")  # whose features were not made with its own labels
for _name in FURTHER:
    STEPS[_name] += [f"{what}, split {k}" for k in (2, 3) for what in ("train", "test")]
#: Steps that give a report, and what they were measured on.
FOLDED = {
    "train": "training part",
    "train, unimodal losses": "training part, the network with unimodal losses",
    "whole": "whole set",
    "test part": "test part",
}
#: Set: modality, claim, and the claimed PA - PJ.
CLAIMS = {
    "av digits": (
        "image",
        "by SGD the image encoder learns about half of what it learns alone in joint training (50, "
        "63 and 59 % with three seeds, published split), and all of it with unimodal losses (103, "
        "110, 107 %).",
        0.094,
    ),
    "ROSMAP": (
        "mirna",
        "the miRNA encoder starves in joint training: a probe reads 59.4 % from it, 63.5 % from "
        "the untrained one and 67.9 % from the one trained alone (published split).",
        0.085,
    ),
    "prokaryotic": (
        "proteome",
        "the proteome looks starved, since in the joint network it scores 11 points less than "
        "alone, but a probe reads 83.1 % from its encoder, 81.9 % from the one trained alone and "
        "82.3 % from the untrained one: the head neglects it (published split).",
        -0.012,
    ),
}
PROTOCOL = (
    "``python benchmarks/diagnosis_real.py`` diagnoses ``MultimodalClassifier()`` as it comes on "
    "the training part of each set (av digits: SGD with momentum 0.9, weight decay 1e-4, learning "
    "rate 0.01, 60 epochs): 5 folds, or as many as there are groups if these are fewer, times 2 "
    "seeds; groups (persons, speakers, videos) are kept whole. Compared are what ``diagnose`` "
    "compares by default without the evidence pool, whose fits take minutes each. Test parts are "
    "those of ``benchmarks/rivals.py``, published ones where there are any. MUStARD is split by "
    "samples as there, so that speakers and shows are on both sides. CMU-MOSI: its text and video "
    "features were made by networks that had learned the labels of the training part, so that all "
    "scores inside it are far too high; what is said there holds for these features only, and the "
    "test part was diagnosed by itself, too. Of ROSMAP and prokaryotic all samples were diagnosed, "
    "too, since their training parts are small."
)

READING = (
    "P0, PJ, PA: linear probes of the encoder untrained, as given, trained alone; learned share "
    "(PJ - P0) / (PA - P0), which is not told where the interval of PA - P0 includes 0. Scores in "
    '%, with 95 % intervals: over folds and seeds by the corrected resampled t; "published split" '
    "has the mean over 5 seeds of the networks and an interval over test samples, that leaves out "
    "how training parts vary."
)


def network(name, seed=None, **settings):
    """What is diagnosed: the network as it comes, behind what reads the texts."""
    made = MultimodalClassifier(random_state=seed, **SETTINGS.get(name, {}), **settings)
    return make_pipeline(IN_FRONT[name](0), made) if name in IN_FRONT else made


def data(name, split=0):
    """X, y, groups or None, training and test rows."""
    X, y, groups, splits = load(name)
    groups = GROUPS[name]() if name in GROUPS else groups
    return X, y, groups, *splits[split]


# Steps


def parted(step):
    """A step and the number of its split: "train, split 2" is of the second."""
    what, _, number = step.partition(", split ")
    return what, int(number or 1) - 1


def run_step(name, step):
    """What a step gives, as text to keep."""
    what, split = parted(step)
    X, y, groups, train, test = data(name, split)
    if what == "test":
        report = read(name, step.replace("test", "train"))
        return json.dumps(on_test(name, report, X, y, groups, train, test))
    if step == "shares":
        return json.dumps(published_shares(name, X, y, train, test))
    whole = np.arange(len(y))
    rows = {"whole": whole, "test part": test}.get(step, train)
    settings, rest = {}, {"rivals": RIVALS}
    if step == "train, unimodal losses":
        settings, rest = UNIMODAL_LOSSES, {"methods": (), "rivals": ("majority",)}
    inside = None if groups is None else groups[rows]
    cv = 5 if inside is None else min(5, len(np.unique(inside)))
    estimator = network(name, **settings)
    report = diagnose(estimator, X[rows], y[rows], cv=cv, groups=inside, seeds=SEEDS, **rest)
    print(report, flush=True)
    return report.to_json()


def rows_of(name, X, report, seed):
    """An estimator of each row of a report, as `recommendation_` would be if it were the one."""
    task = Task.of(network(name, seed), X)
    rows = {row.name: row for row in compared_networks(task.network, "default")}
    made = {}
    for row in report.scores_:
        left = report.modalities_
        if row.startswith("without "):
            dropped = row.removeprefix("without ").split(", ")
            rows[row] = subset_row(task.network, row, tuple(dropped))
            left = tuple(m for m in report.modalities_ if m not in dropped)
        asked = SimpleNamespace(recommended_=row, data=report.data)
        made[row] = _recommended(asked, task, report.modalities_, rows, left)
    return made


def on_test(name, report, X, y, groups, train, test):
    """Which test samples each row has right, of the networks with each of some seeds."""
    right, fitted = {}, (LINEAR, MAJORITY, STACKED)
    for seed in TEST_SEEDS:
        for row, estimator in rows_of(name, X, report, seed).items():
            if row in fitted and row in right:
                continue  # without a random part
            inside = None if groups is None or row not in fitted else groups[train]
            model = fit_rival(estimator, X[train], y[train], inside)
            hits = (model.predict(X[test]) == y[test]).astype(int)
            right.setdefault(row, []).append("".join(map(str, hits)))
    codes = range(len(test)) if groups is None else np.unique(groups[test], return_inverse=True)[1]
    units = None if groups is None else [int(code) for code in codes]
    return {"recommended": report.recommended_, "right": right, "units": units}


def published_shares(name, X, y, train, test):
    """Probes on the published split, by seed, of the network as given and with unimodal losses.

    Errors are those of means over the seeds, over test samples.
    """
    made, found = {"joint": {}, "unimodal losses": UNIMODAL_LOSSES}, {}
    scores, hits = {what: {} for what in made}, {what: {} for what in made}
    for seed in SHARE_SEEDS:
        alone = None
        for what, settings in made.items():
            model = network(name, seed, **settings).fit(X[train], y[train])
            bits = []

            def record(probe, Z, truth, bits=bits):
                bits.append(probe.predict(Z) == truth)
                return bits[-1].mean()

            told = learned_share(
                model, X[train], y[train], X[test], y[test], alone=alone, scoring=record
            )
            alone, inside = told.alone_estimators, model.score_by_modality(X[test], y[test])
            asked = [(k, m) for k in PROBES for m in told.modalities]  # in this order
            for (k, m), right in zip(asked, bits, strict=True):
                if right.mean() != told[k][told.modalities.index(m)]:
                    raise RuntimeError(f"learned_share scored in another order: {k}, {m}.")
                hits[what].setdefault(m, {}).setdefault(k, []).append(right)
            for m in told.modalities:
                by_name = scores[what].setdefault(m, {k: [] for k in (*PROBES, *SCORED)})
                by_name["scored_alone"].append(float(alone[m].score({m: X[m][test]}, y[test])))
                by_name["in_joint"].append(float(inside[m]))
                for k in PROBES:
                    by_name[k].append(float(hits[what][m][k][-1].mean()))
    for what, by_name in hits.items():
        found[what] = {}
        for m, by_probe in by_name.items():
            P0, PJ, PA = (np.mean(by_probe[k], axis=0) for k in PROBES)
            share = (PJ - P0).mean() / (PA - P0).mean() if (PA - P0).mean() > 0 else np.nan
            errors = {"lack": standard_error(PA - PJ), "possible": standard_error(PA - P0)}
            if np.isfinite(share):
                around = (PJ - P0 - share * (PA - P0)) / (PA - P0).mean()
                errors["share"] = standard_error(around)
            found[what][m] = {"scores": scores[what][m], "errors": errors}
    return found


def path_of(name, step):
    return RESULTS / f"{name}-{step}.json".lower().replace(" ", "-").replace(",", "")


def read(name, step):
    """A report, or what a step without one gave; None where it was not run."""
    path = path_of(name, step)
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    return (
        json.loads(text)
        if parted(step)[0] in ("test", "shares")
        else DiagnosisReport.from_json(text)
    )


def run(names):
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in names:
        for step in STEPS[name]:
            path = path_of(name, step)
            if path.exists():
                continue
            begun = time.perf_counter()
            print(f"\n##### {name}: {step}", flush=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                text = run_step(name, step)
            path.write_text(text + "\n", encoding="utf-8")
            print(f"##### {name}: {step}: {time.perf_counter() - begun:.0f} s", flush=True)


# The page


def within(told, gap):
    """Whether a row is at most one standard error below the best; equal rows are."""
    return bool(gap <= (0.0 if np.isnan(told) else told))


def inside_training(report):
    """Means by row and the standard error of the best row's lead, in the report's own folds."""
    means = {row: float(values.mean()) for row, values in report.scores_.items()}
    best = max(means, key=means.get)
    lead = compare(report.scores_[best] - report.scores_[report.recommended_], report.design)
    return means, best, float(lead.standard_error)


def outside(found):
    """Means by row on the test part, the best row, and how far the recommended one is behind it.

    Standard errors are over test samples, or over groups of them, of the mean of the seeds: of the
    best row's lead, and of its score. The honest lead is that of the row which is best on a half
    of the test part, on the other half; mean over 200 random halves.
    """
    bits = {
        row: np.array([[c == "1" for c in one] for one in seeds], float).mean(axis=0)
        for row, seeds in found["right"].items()
    }
    means = {row: float(values.mean()) for row, values in bits.items()}
    best, ours, units = max(means, key=means.get), bits[found["recommended"]], found["units"]
    codes = np.arange(len(ours)) if units is None else np.asarray(units)
    leads, rng = [], np.random.default_rng(0)
    for _ in range(200):
        half = (rng.permutation(codes.max() + 1) % 2 == 0)[codes]
        chosen = max(bits.values(), key=lambda right: right[half].mean())
        leads.append((chosen - ours)[~half].mean())
    errors = standard_error(bits[best] - ours, units), standard_error(bits[best], units)
    return means, best, float(np.mean(leads)), *errors


def standard_error(values, units=None):
    """Of a mean over samples, which are drawn by units (groups), or one by one."""
    codes = np.arange(len(values)) if units is None else np.asarray(units)
    sums = np.bincount(codes, weights=values - values.mean())
    n = len(sums)
    return float(np.sqrt(n / (n - 1) * (sums**2).sum()) / len(values))


def advice():
    """Per set: what is recommended beside the best row, in the folds and on the test part.

    Returns
    -------
    lines : list of str
    """
    head = ["set", "samples", "folds", "recommended", "score", "best row", "score", "SE of lead"]
    head_test = ["set", "samples", "recommended", "score", "best row", "score", "as given",
                 "lead", "SE of lead", "SE of best", "within", "honest lead"]  # fmt: skip
    folds, test, said = [], [], []
    asked = [(name, step) for name in STEPS for step in STEPS[name] if parted(step)[0] == "test"]
    for name, step in asked:
        report, found = read(name, step.replace("test", "train")), read(name, step)
        if report is None or found is None:
            continue
        name += step.removeprefix("test")
        row = found["recommended"]
        if row != report.recommended_:
            raise RuntimeError(f"{name}: the test step is of another recommendation: run it again.")
        means, best, error = inside_training(report)
        n_folds = f"{report.data['n_folds']} x {len(report.data['seeds'])}"
        folds.append([name, str(report.data["n_samples"]), n_folds, row, percent(means[row]),
                      best, percent(means[best]), percent(error)])  # fmt: skip
        means, best, honest, error, own = outside(found)
        lead = means[best] - means[row]
        said.append((within(error, lead), within(own, lead), means[row], means["joint"]))
        answer = "yes" if said[-1][0] else "SE of best only" if said[-1][1] else "no"
        size = str(len(found["right"][row][0]))
        if found["units"] is not None:
            size += f" in {len(set(found['units']))} groups"
        test.append([name, size, row, percent(means[row]), best,
                     percent(means[best]), percent(means["joint"]), percent(lead),
                     percent(error), percent(own), answer, percent(honest)])  # fmt: skip
    strict, wide, ours, given = zip(*said, strict=True)
    first = [one for one, row in zip(said, test, strict=True) if "split" not in row[0]]
    lines = wrapped(
        "Inside the training part the recommended row is within one standard error of the best by "
        "the rule that chooses it (0.0: it is the best):"
    )
    lines += ["", *rst_table(head, folds)]
    lines += wrapped(
        "On the test part, which no choice saw: all rows fitted on the whole training part, with "
        f"{len(TEST_SEEDS)} seeds of the networks. The best row is the best in hindsight of all "
        "that were compared, a bar that luck raises; the honest lead is that of the row which is "
        "best on one half of the test part, on its other half (mean of 200 halves). Standard "
        "errors are over test samples, or groups of them (of two groups they are but a hint):"
    )
    lines += ["", *rst_table(head_test, test)]
    lines += wrapped(
        f"Within one standard error of the best row's lead: {sum(strict)} of {len(said)}; of the "
        f"best row's own score: {sum(wide)} of {len(said)}. Of the first splits of {len(first)} "
        f"sets: {sum(one[0] for one in first)} and {sum(one[1] for one in first)}. On average the "
        f"recommended row scores {100 * np.mean(ours):.1f} %, the network as given "
        f"{100 * np.mean(given):.1f} %."
    )
    return lines


def percent(value):
    return f"{100 * value:.1f}" if np.isfinite(value) else "-"


class Told(NamedTuple):
    """A number with its standard error over test samples."""

    estimate: float
    error: float

    @property
    def low(self):
        return self.estimate - 1.96 * self.error

    @property
    def high(self):
        return self.estimate + 1.96 * self.error


def interval_text(told):
    return f"{percent(told.estimate)} ({percent(told.low)} to {percent(told.high)})"


def share_text(told):
    if not np.isfinite(told.estimate):
        return "not told"
    low, high = 100 * float(told.low), 100 * float(told.high)
    return f"{100 * float(told.estimate):.0f} % ({low:.0f} to {high:.0f})"


def lack_of(report, modality):
    """PA - PJ over folds, with its interval."""
    probes = report.measures_
    return compare(probes["probe_alone"][modality] - probes["probe_joint"][modality], report.design)


def modality_rows(name, step):
    """Probes and learned shares over folds, of a report."""
    report = read(name, step)
    rows = []
    for m in report.modalities_ if report is not None else ():
        shown = [report.measure(k, m).estimate for k in ("alone", "in_joint")]
        shown += [report.measure(f"probe_{k}", m).estimate for k in PROBES]
        where = f"folds, {FOLDED[step].replace(', the network with', ',')}"
        rows.append(
            [m, where, *map(percent, shown), interval_text(lack_of(report, m)),
             share_text(report.learned_share(m))]
        )  # fmt: skip
    return rows


def published_rows(name):
    """The same on the published split: means over the seeds of the networks."""
    found = read(name, "shares") or {}
    rows = []
    for what, by_name in found.items():
        for m, told in by_name.items():
            by_seed = {k: np.array(v) for k, v in told["scores"].items()}
            P0, PJ, PA = (by_seed[k] for k in PROBES)
            lack, possible, errors = (PA - PJ).mean(), (PA - P0).mean(), told["errors"]
            shares = "not told"
            if possible > 1.96 * errors["possible"]:
                share = Told(*(float(v) for v in ((PJ - P0).mean() / possible, errors["share"])))
                each = ", ".join(f"{100 * v:.0f}" for v in (PJ - P0) / (PA - P0))
                shares = f"{share_text(share)}; seeds {each}"
            shown = map(percent, (by_seed[k].mean() for k in (*SCORED, *PROBES)))
            rows.append(
                [m, "published split" + (", unimodal losses" if what != "joint" else ""), *shown,
                 interval_text(Told(lack, errors["lack"])), shares]
            )  # fmt: skip
    return rows


def claims():
    """What was claimed of some modalities before, beside what comes out here."""
    lines = []
    head = [
        "modality",
        "measured on",
        "alone",
        "in joint",
        "P0",
        "PJ",
        "PA",
        "PA - PJ",
        "learned share",
    ]
    for name, (modality, text, lack) in CLAIMS.items():
        rows = [r for step in STEPS[name] if step in FOLDED for r in modality_rows(name, step)]
        rows += published_rows(name)
        if not rows:
            continue
        lines += [f"**{name}**", "", *wrapped(f"Claimed: {text}"), "", *rst_table(head, rows)]
        intervals = {FOLDED[k]: lack_of(read(name, k), modality) for k in ("train", "whole")
                     if path_of(name, k).exists()}  # fmt: skip
        shares = read(name, "shares")
        if shares is not None:
            told = shares["joint"][modality]
            lacks = np.subtract(*(told["scores"][k] for k in ("alone", "joint")))
            seeds = lacks.var(ddof=1) * (1 / len(lacks) + 1 / 3)  # of these, and of the claim
            error = float(np.sqrt(told["errors"]["lack"] ** 2 + seeds))
            intervals["published split"] = Told(float(lacks.mean()), error)
        said = ", ".join(
            f"{'inside' if told.low <= lack <= told.high else 'outside'} that of the {where} "
            f"({percent(told.low)} to {percent(told.high)})"
            for where, told in intervals.items()
        )
        lines += wrapped(
            f"PA - PJ of {modality} was {percent(lack)} points then. Of the 95 % intervals of PA - "
            f"PJ, for the published split with the noise of the seeds then and now, this is {said}."
        )
        lines.append("")
    return lines


def verdicts():
    """All verdicts, word for word."""
    lines = []
    for name, steps in STEPS.items():
        for step in steps:
            report = read(name, step) if step in FOLDED else None
            if report is None:
                continue
            lines += [f"**{name}**, {FOLDED[step]}", ""]
            for verdict in report.verdicts_:
                lines += wrapped(f"- {verdict.sentence}", "  ")
            row = report.recommended_
            lines += wrapped(f"- Recommended: {row} ({report.data['rows'][row]['text']}).", "  ")
            lines.append("")
    return lines


def wrapped(text, indent=""):
    return textwrap.wrap(text, 100, subsequent_indent=indent, break_on_hyphens=False)


def titled(title, mark):
    return [title, mark * len(title), ""]


def section():
    """The section of the page, or nothing where no set was run."""
    if not any(path_of(name, "test").exists() for name in STEPS):
        return []
    lines = ["", *titled("On real data", "-"), *wrapped(PROTOCOL), ""]
    lines += [*titled("Is the advice good?", "~"), *advice(), ""]
    lines += [*titled("Learned shares and what was claimed", "~"), *wrapped(READING), ""]
    lines += claims()
    return [*lines, *titled("The verdicts", "~"), *verdicts()]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(STEPS)}")
    parser.add_argument("--show", action="store_true", help="print the reports, run nothing")
    given = parser.parse_args(arguments)
    for name in given.names:
        if name not in STEPS:
            parser.error(f"{name!r} is none of {', '.join(STEPS)}")
    names = given.names or list(STEPS)
    if given.show:
        for name in names:
            for step in STEPS[name]:
                if step in FOLDED and (report := read(name, step)) is not None:
                    print(f"\n##### {name}, {FOLDED[step]}\n{report}")
        return
    run(names)
    write_page()


if __name__ == "__main__":
    main(sys.argv[1:])
