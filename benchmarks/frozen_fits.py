"""The fits that ``frozen.py`` runs on two revisions, and how it names things in an older one.

Run by ``frozen.py``, once for each tree:
``python frozen_fits.py TREE OUTPUT.npz [--only REGEX]`` imports inforeg_sk from ``TREE``, makes
each of `CASES` in float64 and in float32, and writes what came out under the keys
``<case>/<dtype>/<what>[/<modality>]``.

A case speaks the names of today. ``renames.json`` translates them to those of the tree under test.
It is a list of entries, and each says what a name of today was called before:

- ``{"kind": "parameter", "of": "InfoReg", "new": "pull", "old": "strength", "values":
  {"gradient": "coefficient"}}``: a parameter of a class (or of a base class of it) or of a
  function, and, if there are ``values``, its new values with the old ones. ``true``, ``false`` and
  ``null`` are written so. Those of ``InfoReg`` also hold for the estimators that show them as
  their own, and as ``method__...``; those of encoders and fusions as ``encoders__...`` and
  ``fusion__...``.
- ``{"kind": "record", "new": "pull", "old": "coefficient"}``: a quantity of the history.
- ``{"kind": "attribute", "new": "InfoReg", "old": "Regulation"}``: a public name of the package,
  or a method of an estimator.

An entry applies where the tree has no such name, but the old one. So one table serves all
revisions, and entries chain if a name changed twice. Entries that no case needs do no harm.
"""

import argparse
import copy
import importlib
import inspect
import json
import re
import sys
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from skorch.callbacks import EarlyStopping, GradientNormClipping, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn

RENAMES = Path(__file__).resolve().parent / "renames.json"
KINDS = {
    "parameter": {"of", "new", "old"},
    "record": {"new", "old"},
    "attribute": {"new", "old"},
}
# Whose parameters a nested setting may be, by the part that it is given to.
PARTS = {
    "method": ("InfoReg",),
    "encoders": (
        "MLPEncoder",
        "GRUEncoder",
        "TransformerEncoder",
        "CNNEncoder",
        "ResNet18Encoder",
    ),
    "fusion": ("Concat", "Sum", "Attention", "Gated", "FiLM"),
}
DTYPES = ("float64", "float32")
# Of the history: of the epoch, and of each modality.
EPOCH_RECORDS = ("train_loss", "train_objective", "valid_loss", "valid_acc")
MODALITY_RECORDS = (
    "fisher_trace",
    "window",
    "window_ratio",
    "coefficient",
    "performance_score",
)


# Encoders of a user


class ConvEncoder(nn.Module):
    """Convolution, batch normalisation and a linear layer."""

    def __init__(self, input_shape, features=5):
        super().__init__()
        self.conv = nn.Conv1d(input_shape[1], 4, 3)
        self.norm = nn.BatchNorm1d(4)
        self.out = nn.Linear(4, features)

    def forward(self, x):
        z = torch.relu(self.norm(self.conv(x.transpose(1, 2))))
        return torch.tanh(self.out(z.mean(dim=2)))


class HalfFrozen(nn.Module):
    """Two linear layers, of which the first is frozen."""

    def __init__(self, input_shape):
        super().__init__()
        self.frozen = nn.Linear(input_shape[-1], 6).requires_grad_(False)
        self.out = nn.Linear(6, 4)

    def forward(self, x):
        return torch.relu(self.out(torch.relu(self.frozen(x))))


class GlobalDropout(nn.Module):
    """Linear layer with torch's own dropout, which draws on the global generator."""

    def __init__(self, in_features, hidden=6):
        super().__init__()
        self.out = nn.Linear(in_features, hidden)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x):
        return self.dropout(torch.tanh(self.out(x)))


class MeanEmbedding(nn.Module):
    """Mean of the embeddings of the tokens that are no padding."""

    def __init__(self, input_shape):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)

    def forward(self, x):
        real = x["real"].unsqueeze(2)
        return (self.embedding(x["ids"]) * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)


def shared(*names):
    """One encoder that several modalities of five values share."""
    with torch.random.fork_rng(devices=[]):  # who imports this keeps the random numbers
        torch.manual_seed(3)
        return dict.fromkeys(names, nn.Sequential(nn.Linear(5, 6), nn.Tanh()))


# Cases


class Case(NamedTuple):
    """One configuration, in the names of today."""

    name: str
    estimator: str = "MultimodalInfoRegClassifier"
    params: dict = {}  # of the estimator
    method: dict | None = None  # settings of InfoReg, which is given as an instance
    preset: str | None = None  # flat where the estimator has InfoReg's settings, else an instance
    preset_args: dict = {}  # if it is a function
    modalities: tuple = ("audio", "text", "video")  # in the order of X
    target: str = "labels"  # "labels", "number" or "two numbers"
    form: str = "dict"  # "dict", "padded", "sparse", "frame", "array" or "tokens"
    missing: float = 0.0  # share of samples that lack a modality
    weighted: bool = False
    groups: bool = False
    n: int = 66
    how: str = "fit"  # "fit", "partial_fit" (three times), "fit twice"
    then: dict = {}  # parameters that are set before the second fit
    base: bool = True  # whether BASE is set too
    raises: bool = False  # whether an error is what has to come


CLASSIFIER, REGRESSOR = "MultimodalClassifier", "MultimodalRegressor"
INFOREG, INFOREG_REGRESSOR = "MultimodalInfoRegClassifier", "MultimodalInfoRegRegressor"
# Of every case, and of all but those that ask for the library's defaults.
ALWAYS = {"random_state": 0, "device": "cpu", "max_epochs": 7}
BASE = {"batch_size": 16, "lr": 0.01, "encoders__hidden": 8}
SGD = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__weight_decay": 1e-3}
AUTHORS = {"leader": "audio", "alpha": {"audio": 0.95, "text": 0.1}}
# A window that is open wherever it can be.
OPEN = {"window_threshold": -float("inf")}
PULL = {"pull": "gradient", "unimodal_weight": 0.5, **OPEN}
DRIFT = {"pull": "decoupled", "alpha": 5.0, **OPEN}
ALLOW = {"missing": "allow"}
FUSIONS = {
    "concat": {},
    "sum": {"fusion__width": 7},
    "attention": {},
    "gated": {"fusion__conditioning": "text"},
    "film": {"fusion__conditioning": "text"},
}
SHAPES = {
    "audio": (6, 4),
    "text": (7,),
    "video": (5,),
    "pose": (5,),
    "image": (2, 9, 8),
    "clip": (1, 3, 8, 8),
    "spectrogram": (10, 9),
}
# How clearly the values of a modality tell the target.
SIGNAL = {"audio": 1.0, "text": 0.6, "video": 0.3}

SETTINGS = [
    Case("joint", CLASSIFIER),
    Case("joint-sgd", CLASSIFIER, SGD),
    Case("joint-untracked", CLASSIFIER, {"fisher": None}),
    Case("joint-with-unimodal-losses", params={"alpha": 0}),
    Case("alpha-0-untracked", params={"alpha": 0, "fisher": None}),
    Case("untracked-refused", params={"fisher": None}, raises=True),
    Case("defaults-classifier", CLASSIFIER, base=False),
    Case("defaults-inforeg", base=False),
    Case("defaults-instance", CLASSIFIER, method={}, base=False),
    Case("defaults-many-epochs", params={"max_epochs": 14}, base=False),
    Case("by-name", CLASSIFIER, {"method": "inforeg", "method__alpha": 0.3}),
    Case("paper", preset="PAPER"),
    Case("paper-sgd", params=SGD, preset="PAPER"),
    Case("paper-instance", CLASSIFIER, preset="PAPER", method={"alpha": 2.0}),
    Case("paper-star", preset="PAPER_STAR"),
    Case("paper-star-sgd", CLASSIFIER, SGD, preset="PAPER_STAR"),
    Case("authors-code", CLASSIFIER, SGD, preset="authors_code", preset_args=AUTHORS),
    Case("authors-code-adam", CLASSIFIER, preset="authors_code", preset_args=AUTHORS),
    Case("pull", params=PULL),
    Case("pull-sgd", params={**PULL, **SGD}),
    Case("drift", params=DRIFT),
    Case("drift-sgd", params={**DRIFT, **SGD}),
    Case("drift-paper-window", preset="PAPER", params={"pull": "decoupled", "alpha": 5.0}),
    Case("window-never", params={"window_threshold": float("inf")}),
    Case("window-threshold", params={"window_threshold": 0.1, "window_smoothing": 3}),
    Case("window-zeros-closed", params={**PULL, "padding": "zeros", "first_epoch": "closed"}),
    Case("window-none-open", params={**PULL, "padding": "none", "first_epoch": "open"}),
    Case("beta", params={**DRIFT, "beta": 2.5}),
    Case("alpha-by-modality", params={**DRIFT, "alpha": {"audio": 4.0, "video": 1.0}}),
    Case("leader", params={"method__leader": "text", "max_epochs": 12}),
    Case("score-sum", params={**PULL, "method__score": "probability_sum"}),
    Case("score-loss", params={**PULL, "method__score": "negative_loss"}),
    Case("trace-layers", params={**PULL, "method__trace": "layers"}),
    Case("trace-layers-drift", CLASSIFIER, method={**DRIFT, "trace": "layers"}),
]

NETWORKS = [
    *[Case(f"fusion-{f}-pull", params={**PULL, "fusion": f, **s}) for f, s in FUSIONS.items()],
    *[Case(f"fusion-{f}-drift", params={**DRIFT, "fusion": f, **s}) for f, s in FUSIONS.items()],
    Case("mlp-layers", params={"encoders__hidden": (9, 6), "encoders": "mlp"}),
    Case("mlp-by-modality", params={"encoders__text__hidden": (9, 6)}),
    Case("dropout", params={**DRIFT, "encoders__dropout": 0.3}),
    Case("gru", params={**DRIFT, "encoders": {"audio": "gru"}}),
    Case(
        "gru-padded",
        params={
            "encoders": {"audio": "gru"},
            "encoders__n_layers": 2,
            "encoders__dropout": 0.2,
            "encoders__padding_value": 0.0,
        },
        form="padded",
    ),
    Case("transformer", params={**PULL, "encoders": {"audio": "transformer"}}),
    Case(
        "transformer-padded",
        params={
            "encoders": {"audio": "transformer"},
            "encoders__dropout": 0.2,
            "encoders__padding_value": 0.0,
        },
        form="padded",
    ),
    Case(
        "transformer-unpadded",
        params={"encoders": {"audio": "transformer"}, "encoders__padding_value": None},
        form="padded",
    ),
    Case("cnn-image", params=DRIFT, modalities=("image", "text")),
    Case("cnn-clip", params={**PULL, "encoders__dropout": 0.2}, modalities=("clip", "text")),
    Case("cnn-spectrogram", params={"encoders": "cnn"}, modalities=("spectrogram", "image")),
    Case(
        "resnet18",
        params={**DRIFT, "encoders": {"image": "resnet18"}, "max_epochs": 2, "batch_size": 30},
        modalities=("image", "text"),
        n=60,
    ),
    Case("conv", params={**PULL, **SGD, "encoders": {"audio": ConvEncoder}}),
    Case("conv-last-of-one", params={**DRIFT, "encoders": {"audio": ConvEncoder}}, n=65),
    Case("frozen", params={**PULL, "encoders": {"text": HalfFrozen}}),
    Case(
        "shared-pull",
        params={**PULL, "encoders": shared("video", "pose")},
        modalities=("pose", "text", "video"),
    ),
    Case(
        "shared-drift",
        CLASSIFIER,
        {"encoders": shared("video", "pose")},
        method=DRIFT,
        modalities=("pose", "text", "video"),
    ),
    Case("global-dropout", params={**DRIFT, "encoders": {"text": GlobalDropout}}),
]

DATA = [
    Case("one-modality", modalities=("audio",)),
    Case("one-array", params=PULL, modalities=("text",), form="array"),
    Case("two-modalities", params=DRIFT, modalities=("audio", "video")),
    Case("two-paper-star", preset="PAPER_STAR", modalities=("audio", "text")),
    Case("four-modalities", params=PULL, modalities=("audio", "image", "text", "video")),
    Case("four-drift", params=DRIFT, modalities=("audio", "pose", "text", "video")),
    Case("unsorted", params=DRIFT, modalities=("video", "audio", "text")),
    Case("sparse", params=DRIFT, form="sparse"),
    Case("sparse-missing", params={**PULL, **ALLOW}, form="sparse", missing=0.3),
    Case(
        "frame",
        params={"modalities": {"video": [f"video{i}" for i in range(5)], "text": slice(0, 7)}},
        modalities=("text", "video"),
        form="frame",
    ),
    Case("tokens", params={**DRIFT, "encoders": {"text": MeanEmbedding}}, form="tokens"),
    Case("missing-drift", params={**DRIFT, **ALLOW}, missing=0.3),
    Case("missing-pull", params={**PULL, **ALLOW}, missing=0.3),
    Case("missing-paper-star", params={**SGD, **ALLOW}, preset="PAPER_STAR", missing=0.3),
    Case(
        "missing-score-sum",
        params={**PULL, **ALLOW, "method__score": "probability_sum"},
        missing=0.3,
    ),
    Case(
        "missing-authors-code",
        CLASSIFIER,
        {**SGD, **ALLOW},
        preset="authors_code",
        preset_args=AUTHORS,
        missing=0.3,
    ),
    *[
        Case(f"missing-{f}", params={**DRIFT, **ALLOW, "fusion": f, **s}, missing=0.3)
        for f, s in FUSIONS.items()
        if f != "concat"
    ],
    Case("missing-gru", params={**PULL, **ALLOW, "encoders": {"audio": "gru"}}, missing=0.3),
    Case(
        "missing-conv",
        params={**DRIFT, **ALLOW, "encoders": {"audio": ConvEncoder}, "batch_size": 4},
        missing=0.5,
    ),
    Case("missing-weighted", params={**DRIFT, **ALLOW}, missing=0.3, weighted=True),
    Case("missing-joint", CLASSIFIER, ALLOW, missing=0.3),
]

TRAINING = [
    Case("modality-dropout", params={**DRIFT, "modality_dropout": 0.3}),
    Case("modality-dropout-joint", CLASSIFIER, {"modality_dropout": {"audio": 0.5}}),
    Case(
        "modality-dropout-missing",
        params={**PULL, **ALLOW, "modality_dropout": {"audio": 0.4, "text": 0.1}},
        missing=0.3,
    ),
    Case("weighted", params=PULL, weighted=True),
    Case("weighted-joint", CLASSIFIER, weighted=True),
    Case("balanced", params={**DRIFT, "class_weight": "balanced"}),
    Case("balanced-weighted", params={"class_weight": "balanced"}, weighted=True),
    Case("class-weight", params={"class_weight": {"joy": 2.0, "fear": 0.5}}),
    Case("smoothing", params={**PULL, "criterion__label_smoothing": 0.1}),
    Case(
        "smoothing-missing",
        params={**DRIFT, **ALLOW, "criterion__label_smoothing": 0.1},
        missing=0.3,
    ),
    Case("split", params={**DRIFT, "train_split": ValidSplit(5, stratified=True)}),
    Case("split-groups", params={"train_split": ValidSplit(4)}, groups=True, weighted=True),
    Case("split-missing", params={**ALLOW, "train_split": ValidSplit(5)}, missing=0.3),
    Case(
        "early-stopping",
        params={
            "train_split": ValidSplit(5, stratified=True),
            "callbacks": [EarlyStopping(patience=2, load_best=True)],
            "lr": 0.05,
            "max_epochs": 14,
        },
    ),
    Case("clipping", params={**PULL, "callbacks": [GradientNormClipping(0.5)]}),
    Case(
        "schedule",
        params={**DRIFT, **SGD, "callbacks": [LRScheduler("StepLR", step_size=3)]},
    ),
    Case("adam", params={**PULL, "optimizer": torch.optim.Adam}),
    Case(
        "rates-by-modality",
        params={**DRIFT, "optimizer__param_groups": [("encoder_text.*", {"lr": 1e-4})]},
    ),
    Case("one-batch", params={**PULL, "batch_size": -1}),
    Case("drop-last", params={**DRIFT, "iterator_train__drop_last": True}),
    Case("in-order", params={**DRIFT, "iterator_train__shuffle": False}),
    Case("partial-fit", params=DRIFT, how="partial_fit"),
    Case("partial-fit-paper", params=SGD, preset="PAPER_STAR", how="partial_fit"),
    Case("partial-fit-missing", params={**PULL, **ALLOW}, missing=0.3, how="partial_fit"),
    Case("warm-start", params={**PULL, "warm_start": True}, how="fit twice"),
    Case(
        "warm-start-changed",
        params={**DRIFT, "warm_start": True, "encoders__dropout": 0.2},
        how="fit twice",
        then={"alpha": 1.0, "lr": 0.003, "pull": "gradient"},
    ),
    Case("fit-anew", params=DRIFT, how="fit twice", then={"alpha": 1.0, "unimodal_weight": 0.2}),
]

REGRESSION = [
    Case("joint", REGRESSOR),
    Case("joint-two", REGRESSOR, SGD, target="two numbers"),
    Case("defaults", REGRESSOR, base=False),
    Case("defaults-inforeg", INFOREG_REGRESSOR, base=False),
    Case("inforeg", INFOREG_REGRESSOR, DRIFT),
    Case("pull-two", INFOREG_REGRESSOR, PULL, target="two numbers"),
    Case("paper-star", REGRESSOR, SGD, preset="PAPER_STAR"),
    Case("trace-layers", INFOREG_REGRESSOR, {**PULL, "method__trace": "layers"}),
    Case("l1", INFOREG_REGRESSOR, {**PULL, "criterion": nn.L1Loss}),
    Case("l1-joint", REGRESSOR, {"criterion": nn.L1Loss}, weighted=True),
    Case("huber", INFOREG_REGRESSOR, {"criterion": nn.HuberLoss, "criterion__delta": 0.5}),
    Case("weighted", INFOREG_REGRESSOR, DRIFT, weighted=True),
    Case("missing", INFOREG_REGRESSOR, {**PULL, **ALLOW}, missing=0.3),
    Case(
        "missing-two",
        INFOREG_REGRESSOR,
        {**DRIFT, **ALLOW, "fusion": "sum"},
        target="two numbers",
        missing=0.3,
        weighted=True,
    ),
    Case("gated", INFOREG_REGRESSOR, {**PULL, "fusion": "gated", **FUSIONS["gated"]}),
    Case("split", INFOREG_REGRESSOR, {**DRIFT, "train_split": ValidSplit(5)}),
    Case("dropout", REGRESSOR, {"encoders__dropout": 0.2, "modality_dropout": 0.2}, method=PULL),
    Case("partial-fit", INFOREG_REGRESSOR, DRIFT, how="partial_fit"),
]

CASES = [
    *SETTINGS,
    *NETWORKS,
    *DATA,
    *TRAINING,
    *[
        case._replace(
            name=f"regression-{case.name}",
            target="number" if case.target == "labels" else case.target,
        )
        for case in REGRESSION
    ],
]


# Data


def make_data(case):
    """Make the data of a case, from a fixed seed.

    Parameters
    ----------
    case : Case

    Returns
    -------
    X : dict, DataFrame or ndarray
    y : ndarray
    fit_params : dict
        Sample weights and groups, if the case has them.
    """
    rng = np.random.default_rng(11)
    if case.target == "labels":
        codes = rng.choice(3, case.n, p=[0.5, 0.3, 0.2])
        y, values = np.array(["anger", "fear", "joy"])[codes], codes - 1.0
    else:
        values = rng.normal(size=case.n)
        y = 10 + 3 * values
        if case.target == "two numbers":
            y = np.column_stack([y, values + rng.normal(size=case.n)])
    X = {}
    for name in sorted(case.modalities):
        shape = SHAPES[name]
        signal = SIGNAL.get(name, 0.5) * values.reshape(-1, *[1] * len(shape))
        X[name] = rng.normal(size=(case.n, *shape)) + signal
    if case.form == "padded":
        lengths = rng.integers(1, 7, case.n)
        X["audio"][np.arange(6) >= lengths[:, None]] = 0
    if case.missing:
        there = {name: rng.random(case.n) >= case.missing for name in X}
        there["text"] |= ~np.logical_or.reduce(list(there.values()))
        for name, mask in there.items():
            X[name][~mask] = np.nan
    fit_params = {}
    if case.weighted:
        fit_params["sample_weight"] = rng.choice(
            [0.0, 0.5, 1.0, 2.5], case.n, p=[0.1, 0.3, 0.3, 0.3]
        )
    if case.groups:
        fit_params["groups"] = np.arange(case.n) // 5
    return in_form({name: X[name] for name in case.modalities}, case.form), y, fit_params


def in_form(X, form):
    """Modalities in the form that a case asks for."""
    if form == "array":
        return X["text"]
    if form == "frame":
        columns = [f"{name}{i}" for name, value in X.items() for i in range(value.shape[1])]
        return pd.DataFrame(np.hstack(list(X.values())), columns=columns)
    if form == "sparse":
        X["text"] = sparse.csr_array(np.where(X["text"] < 0.3, 0, X["text"]))
    if form == "tokens":
        ids = np.digitize(X["text"], np.linspace(-1.5, 1.5, 8))
        X["text"] = {"ids": ids, "real": np.arange(7) < 3 + ids[:, :1] % 5}
    return X


def rows_of(X, rows):
    """Some samples of all modalities."""
    return {name: value[rows] for name, value in X.items()}


# Names


def load_renames(path=RENAMES):
    """Read and check the table of renames.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of dict

    Raises
    ------
    ValueError
        If an entry has an unknown kind, lacks a field, or renames nothing.
    """
    entries = json.loads(Path(path).read_text(encoding="utf-8"))
    for entry in entries:
        needed = KINDS.get(entry.get("kind"))
        if needed is None or not needed <= set(entry) or entry["new"] == entry["old"]:
            raise ValueError(f"{Path(path).name} has the entry {entry}, which is none of {KINDS}.")
    return entries


def older(name, known, entries, value=None):
    """Go back from a name of today to one that the tree under test knows.

    Parameters
    ----------
    name : str
    known : callable
        Says of a name whether the tree has it.
    entries : list of dict
        The renames that may apply.
    value : object
        What is given under the name.

    Returns
    -------
    tuple of str and object, or None
        Name and value there; None if neither the name nor an older one is known.
    """
    if known(name):
        return name, value
    for entry in entries:
        if entry["new"] == name:
            # No entry is used twice, so that a name that came back makes no circle.
            rest = [other for other in entries if other is not entry]
            found = older(entry["old"], known, rest, _older_value(entry, value))
            if found is not None:
                return found
    return None


def _older_value(entry, value):
    if isinstance(value, bool | None):
        return entry.get("values", {}).get(json.dumps(value), value)
    return entry.get("values", {}).get(value, value) if isinstance(value, str) else value


def translated(settings, owner, entries, aliases=(), parts=None):
    """Settings in the names of the tree under test.

    Parameters
    ----------
    settings : dict
        In the names of today.
    owner : class or function
        Of the tree under test; what takes the settings.
    entries : list of dict
        All renames.
    aliases : tuple of str
        Further names of which parameters may be shown by `owner` as its own.
    parts : dict of str to dict of str to class
        What takes the nested settings: part -> name of today -> class.

    Returns
    -------
    dict
        A name without a translation stays as it is.
    """
    out = {}
    for key, value in settings.items():
        part, dunder, nested = key.partition("__")
        if not dunder:
            key, value = _older_parameter(key, value, owner, entries, aliases) or (key, value)
        else:
            place, _, last = nested.rpartition("__")
            for name, cls in (parts or {}).get(part, {}).items():
                found = _older_parameter(last, value, cls, entries, (name,))
                if found is not None and found[0] != last:
                    last, value = found
                    break
            part, _ = _older_parameter(part, None, owner, entries, aliases) or (part, None)
            key = "__".join(filter(None, [part, place, last]))
        out[key] = value
    return out


def _older_parameter(key, value, owner, entries, aliases):
    names = {owner.__name__, *aliases, *(c.__name__ for c in getattr(owner, "__mro__", ()))}
    mine = [e for e in entries if e["kind"] == "parameter" and e["of"] in names]
    return older(key, parameters_of(owner).__contains__, mine, value)


def parameters_of(owner):
    """Names of the parameters of a class or function."""
    parameters = inspect.signature(owner).parameters.values()
    return {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


class Library:
    """The package of the tree under test, by the names of today.

    Parameters
    ----------
    package : module
    entries : list of dict
        Renames.
    """

    def __init__(self, package, entries):
        self.package, self.entries = package, entries
        self.parts = {}
        if entries:  # else nothing is to translate
            network = importlib.import_module(f"{package.__name__}.network")
            for part, names in PARTS.items():
                home = package if part == "method" else network
                found = {name: self.find(name, home, None) for name in names}
                self.parts[part] = {name: cls for name, cls in found.items() if cls is not None}

    def find(self, name, thing=None, *default):
        """An attribute of the package, or of some other thing."""
        thing = self.package if thing is None else thing
        mine = [e for e in self.entries if e["kind"] == "attribute"]
        found = older(name, lambda n: hasattr(thing, n), mine)
        return getattr(thing, found[0] if found else name, *default)

    def preset(self, name, arguments):
        """A preset, which is in the tree's own names."""
        preset = self.find(name, self.find("presets"))
        if callable(preset):
            preset = preset(**translated(arguments, preset, self.entries, (name,)))
        # Older presets are the method's settings; of today's we take these.
        own = {k.removeprefix("method__"): v for k, v in preset.items() if "method__" in k}
        return own or dict(preset)

    def settings(self, settings, name, owner, *aliases):
        """Settings of what today is called `name`."""
        return translated(settings, owner, self.entries, (name, *aliases), self.parts)

    def estimator(self, case, dtype):
        """The estimator of a case."""
        cls, inforeg = self.find(case.estimator), self.find("InfoReg")
        given = {**ALWAYS, **(BASE if case.base else {}), **case.params, "dtype": dtype}
        if case.base and "standardize" in inspect.signature(cls).parameters:
            given = {"standardize": False, **given}
        # Copies: callbacks and modules must not carry anything from fit to fit.
        params = self.settings(copy.deepcopy(given), case.estimator, cls, "InfoReg")
        preset = self.preset(case.preset, case.preset_args) if case.preset else {}
        if case.estimator in (INFOREG, INFOREG_REGRESSOR):
            return cls(**{**preset, **params})
        if case.preset or case.method is not None:
            own = self.settings(case.method or {}, "InfoReg", inforeg)
            params["method"] = inforeg(**{**preset, **own})
        return cls(**params)

    def curve(self, history, quantity, modality=None):
        """A curve of the history, or None if it was not recorded."""
        end = "" if modality is None else f"_{modality}"
        epochs = list(history)
        mine = [e for e in self.entries if e["kind"] == "record"]
        found = older(quantity, lambda q: any(q + end in epoch for epoch in epochs), mine)
        if found is None:
            return None
        return np.array([epoch.get(found[0] + end, np.nan) for epoch in epochs])


# Fits


def fitted(case, dtype, library, X, y, fit_params):
    """Fit the estimator of a case, as often as it says."""
    estimator = library.estimator(case, dtype)
    if case.how == "partial_fit":
        classes = {"classes": np.unique(y)} if case.target == "labels" else {}
        for start in range(3):
            rows = slice(start, None, 3)
            estimator.partial_fit(rows_of(X, rows), y[rows], **classes)
        return estimator
    estimator.fit(X, y, **fit_params)
    if case.how == "fit twice":
        then = library.settings(case.then, case.estimator, type(estimator), "InfoReg")
        estimator.set_params(**then).fit(X, y, **fit_params)
    return estimator


def outcome(case, dtype, library):
    """Everything that a fit gives, as arrays.

    Parameters
    ----------
    case : Case
    dtype : str
    library : Library

    Returns
    -------
    dict of str to ndarray
        ``<what>`` or ``<what>/<modality>`` -> values.
    """
    X, y, fit_params = make_data(case)
    estimator = fitted(case, dtype, library, X, y, fit_params)
    classifier = case.target == "labels"

    def ask(name, *args):
        return library.find(name, estimator)(*args)

    whole = {"prediction": ask("predict", X), "score": ask("score", X, y)}
    if classifier:
        whole["probability"] = ask("predict_proba", X)
    by_modality = {
        "output": ask("predict_proba_by_modality" if classifier else "predict_by_modality", X),
        "feature": ask("transform_by_modality", X),
        "score": ask("score_by_modality", X, y),
    }
    whole |= {f"{what}/{m}": v for what, found in by_modality.items() for m, v in found.items()}
    for name, value in library.find("module_", estimator).state_dict().items():
        whole[f"parameter/{name}"] = value.numpy()
    history = library.find("history", estimator)
    for quantity in EPOCH_RECORDS:
        whole[quantity] = library.curve(history, quantity)
    for quantity in MODALITY_RECORDS:
        for modality in library.find("modalities_", estimator):
            whole[f"{quantity}/{modality}"] = library.curve(history, quantity, modality)
    return {what: np.asarray(value) for what, value in whole.items() if value is not None}


def run(library, only):
    """Run all cases.

    Parameters
    ----------
    library : Library
    only : str
        Regular expression of names.

    Returns
    -------
    dict of str to ndarray
        With ``<case>/<dtype>/raised`` (type of the error) where a fit failed, and
        ``<case>/<dtype>/refused`` where it failed as it has to.
    """
    results = {}
    for case in CASES:
        if not re.search(only, case.name):
            continue
        for dtype in DTYPES:
            fit = f"{case.name}/{dtype}"
            try:
                found = outcome(case, dtype, library)
                if case.raises:
                    found["raised"] = np.array("no error, but one was expected")
            except Exception as error:  # whatever a revision raises is a result
                found = {"refused" if case.raises else "raised": np.array(type(error).__name__)}
                if not case.raises:
                    print(f"{fit}: {traceback.format_exc()}", file=sys.stderr)
            results.update({f"{fit}/{what}": value for what, value in found.items()})
    return results


def import_from(tree):
    """Import inforeg_sk from a tree, and from nowhere else."""
    # In front of the folder of this script, and of an installed copy.
    sys.path.insert(0, str(tree))
    package = importlib.import_module("inforeg_sk")
    found = Path(package.__file__).resolve()
    assert found.is_relative_to(Path(tree).resolve()), f"{found} does not lie in {tree}."
    return package


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tree")
    parser.add_argument("output")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    library = Library(import_from(arguments.tree), load_renames())
    np.savez(arguments.output, **run(library, arguments.only))


if __name__ == "__main__":
    main()
