"""What ``benchmarks/reproduce.py`` measures: data sets, rows, and their settings."""

import numpy as np
from rivals import IN_FRONT
from rivals import load as load_split
from tasks import HOME

from inforeg_sk import ModalityDict
from inforeg_sk.datasets import load_cmu_mosi

EPOCHS = 60

# Data

#: In the order in which they are run: the cheap ones first.
SETS = (
    "ROSMAP", "av digits", "UTD-MHAD", "CMU-MOSI", "prokaryotic", "spoken digits", "leaves",
    "MUStARD", "stress",
)  # fmt: skip
WHAT = {
    "ROSMAP": "Alzheimer's disease from three omics (MOGONET)",
    "av digits": "handwritten digits with spoken names, comes with the library",
    "UTD-MHAD": "human actions (Chen et al. 2015)",
    "CMU-MOSI": "sentiment of videos (Zadeh et al. 2016), features of bc-LSTM",
    "prokaryotic": "phyla of microbes (Brbić et al. 2016)",
    "spoken digits": "spoken digits (FSDD) with handwritten ones",
    "leaves": "plant species (One-hundred plant species leaves)",
    "MUStARD": "sarcasm in television series, texts and speaker",
    "stress": "stress by a wrist wearable (Stress-Predict)",
}
#: Sets read by other encoders: the set, parameters of the classifier.
ENCODED = {
    "UTD-MHAD, gru": ("UTD-MHAD", {"skeleton": "gru", "inertial": "gru", "depth": "cnn"}),
    "UTD-MHAD, cnn": ("UTD-MHAD", {"skeleton": "cnn", "inertial": "cnn", "depth": "cnn"}),
    "av digits, cnn": ("av digits", {"audio": "cnn", "image": "cnn"}),
    "spoken digits, gru": ("spoken digits", {"audio": "gru", "image": "mlp"}),
}
#: Where windows and fusions are compared.
COMPARED_ON = ("ROSMAP", "av digits", "UTD-MHAD")
#: The modality that conditions the others.
CONDITIONING = {"ROSMAP": "mrna", "av digits": "audio", "UTD-MHAD": "skeleton"}
#: Training features made with training labels: nothing can be chosen inside the training part.
LEAKY = ("CMU-MOSI",)
_loaded = {}


def load(name):
    """X, y, groups or None, rows of training, rows of test."""
    if name in _loaded:
        return _loaded[name]
    base = ENCODED[name][0] if name in ENCODED else name
    X, y, groups, splits = load_split(base)
    train, test = splits[0]
    if name in IN_FRONT:
        reader = IN_FRONT[name](0).fit(X[train], y[train])
        X = ModalityDict(reader.transform(X))
    if base == "av digits" and name in ENCODED:
        X = ModalityDict({"audio": X["audio"], "image": X["image"].reshape(-1, 8, 8)})
    _loaded[name] = X, np.asarray(y), groups, train, test
    return _loaded[name]


def recordings(name):
    """What stays together in the halves of a test part of LEAKY."""
    if name != "CMU-MOSI":
        raise ValueError(f"{name} has no recordings")
    return np.asarray(load_cmu_mosi(HOME).groups)


def about(name):
    X, y, groups, train, test = load(name)
    together = recordings(name) if name in LEAKY else groups
    of_test = None
    if together is not None:
        of_test = np.unique(together[test], return_inverse=True)[1].tolist()
    return {
        "n_train": len(train),
        "n_test": len(test),
        "n_classes": len(np.unique(y)),
        "modalities": list(X),
        "groups": of_test,
    }


# Rows


def settings(method, name=None, values=(None,), **fixed):
    """Three settings of a row: the parameters of a classifier, but for the epochs."""
    return [{"method": method, **fixed, **({name: v} if name else {})} for v in values]


RATES = (1e-3, 3e-4, 3e-3)
ALPHAS = (3.0, 1.0, 10.0)
#: Three settings of each method, the first one nearest to its default. Those without a parameter
#: of their own choose the learning rate.
GRIDS = {
    "joint": settings("joint", "lr", RATES),
    "joint*": settings("inforeg", "lr", RATES, method__alpha=0.0),
    "InfoReg": settings("inforeg", "method__alpha", ALPHAS, method__unimodal_weight=0.0),
    "InfoReg*": settings("inforeg", "method__alpha", ALPHAS),
    "OGM-GE": settings("ogm-ge", "method__alpha", (0.4, 0.1, 0.8)),
    "AGM": settings("agm", "method__alpha", (1.0, 0.5, 2.5), method__zero="features"),
    "PMR": settings("pmr", "method__alpha", (1.0, 0.5, 2.0)),
    "G-Blending": settings("g-blending", "lr", RATES),
    "MMPareto": settings("mmpareto", "method__gamma", (1.5, 1.0, 2.5)),
    "Greedy, feature-level": settings("greedy", "method__threshold", (0.01, 0.03, 0.1)),
    "DGL": settings("dgl", "lr", RATES),
    "TCMax": settings("tcmax", "lr", RATES),
    "OPM": settings("opm", "method__q", (0.5, 0.2, 0.8)),
    "D&R": settings("dr", "method__every", (10, 5, 20)),
}
METHODS = tuple(GRIDS)
#: Need held-out samples in the last fit, too: a tenth of the training part.
HOLD_OUT = ("G-Blending", "D&R")
WINDOWED = ("OGM-GE", "AGM", "PMR", "InfoReg")
#: The row of a method in the whole training, inside its window, outside it.
WINDOWS = {
    method: {
        where: method if where == own else f"{method}, {where}"
        for where in ("whole", "window", "outside")
    }
    for method in WINDOWED
    for own in ["window" if method == "InfoReg" else "whole"]
}
for method, rows in WINDOWS.items():
    for where, row in rows.items():
        active = range(EPOCHS) if where == "whole" else where
        GRIDS.setdefault(row, [{**given, "active": active} for given in GRIDS[method]])
FUSIONS = ("concat", "sum", "gated", "film", "attention", "mlp")
FUSED = ("joint", "InfoReg", "joint*", "InfoReg*")
for method in FUSED:
    for fusion in FUSIONS[1:]:
        GRIDS[f"{method}, {fusion}"] = [{**given, "fusion": fusion} for given in GRIDS[method]]
#: Late fusion of which the prior of the classes is counted once, and with each modality.
LATE_FUSIONS = ("late fusion", "late fusion, prior each")
BESIDE = (
    "majority", "best single", "linear on all", "stacked linear", "stacked trees", *LATE_FUSIONS,
    "pool",
)  # fmt: skip
SEEDLESS = ("majority", "best single", "linear on all", "stacked linear")
ON_ENCODED = ("joint", "joint*", "InfoReg", "InfoReg*", "OGM-GE", "late fusion")


def n_seeds(name, row):
    if row in SEEDLESS:
        return 1
    if name in ENCODED:
        return 3
    if row in (*METHODS, *LATE_FUSIONS):
        return 10
    return 5


def jobs():
    """Pairs of set and row, the important and cheap ones first."""
    main = [s for s in SETS if s != "stress"]
    first = [*SEEDLESS, *LATE_FUSIONS, "joint", "joint*", "InfoReg", "InfoReg*", "pool",
             "stacked trees"]  # fmt: skip
    second = ["OGM-GE", "DGL", "TCMax", "MMPareto"]
    third = ["Greedy, feature-level", "AGM", "PMR", "OPM", "D&R"]
    windows = [row for rows in WINDOWS.values() for row in rows.values()]
    cheap = [s for s in main if s != "CMU-MOSI"]
    fused = [f"{method}, {fusion}" for fusion in FUSIONS[1:] for method in FUSED]
    stages = [
        (main, first), (main, second), (["stress"], first), (main[:3], third),
        (COMPARED_ON, windows), (list(ENCODED), ON_ENCODED), (main[3:], third),
        (["stress"], second), (COMPARED_ON, fused), (["stress"], third), (cheap, ["G-Blending"]),
    ]  # fmt: skip
    found = [(name, row) for names, rows in stages for name in names for row in rows]
    return list(dict.fromkeys(found))
