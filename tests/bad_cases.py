"""Bad input of ``fit``: the error's type and words, by what is bad."""

import numpy as np
import pandas as pd
import pytest
import torch
from bad_input import Broken, Case, N, Y, replaced, with_value
from scipy import sparse
from torch import nn

from inforeg_sk import InfoReg, Joint


def gives(function):
    return {"text": lambda input_shape: Broken(input_shape, function)}


class BadFusion(nn.Module):
    def __init__(self, widths):
        super().__init__()

    def forward(self, features):
        return features["lost"]


MAPPING = ("mapping from modality names to arrays", "2-D array or DataFrame")

BAD_X = [
    Case("None", ValueError, (*MAPPING, "got NoneType"), X=lambda X: None),
    Case("a string", ValueError, (*MAPPING, "got str"), X=lambda X: "text"),
    Case("a number", ValueError, (*MAPPING, "got int"), X=lambda X: 3),
    Case("1-D", ValueError, (*MAPPING, "shape (24,)", "reshape(-1, 1)"), X=lambda X: np.ones(N)),
    Case("3-D", ValueError, (*MAPPING, "shape (24, 5, 4)"), X=lambda X: X["audio"]),
    Case("list of dicts", ValueError, (*MAPPING, "got list"), X=lambda X: [{"text": 1.0}] * N),
    Case("ragged list", ValueError, (*MAPPING, "got list"), X=lambda X: [[1], [1, 2]] * 12),
    Case(
        "torch dataset",
        TypeError,
        ("is a Dataset", "TensorDataset", "X = {'text': T, 'audio': A}"),
        X=lambda X: torch.utils.data.TensorDataset(torch.ones(N, 2), torch.ones(N)),
    ),
    Case("2-D texts", ValueError, (*MAPPING, "<U1"), X=lambda X: np.array([["1", "2"]] * N)),
    Case(
        "2-D objects",
        ValueError,
        ("could not convert", "'a'"),
        X=lambda X: np.array([["a", 1.5]] * N, dtype=object),
    ),
    Case("empty dict", ValueError, ("empty", "at least one modality"), X=lambda X: {}),
    Case("name", TypeError, ("names must be strings", "3", "int"), X=lambda X: {3: X["text"]}),
    Case("empty name", ValueError, ("name is empty",), X=lambda X: {"": X["text"]}),
    Case(
        "no samples",
        ValueError,
        ("0 sample(s)", "at least 1"),
        X=lambda X: {name: array[:0] for name, array in X.items()},
        y=[],
    ),
    Case(
        "lengths",
        ValueError,
        ("'text' has 24", "'audio' has 7"),
        X=replaced(audio=np.ones((7, 5, 4))),
    ),
    Case("scalar", ValueError, ("'audio' is a single value, 3.0",), X=replaced(audio=3.0)),
    Case("1-D modality", ValueError, ("'video'", "(24,)", "reshape"), X=replaced(video=np.ones(N))),
    Case("texts", ValueError, ("'video'", "ModalityTransformer"), X=replaced(video=["a"] * N)),
    Case("no features", ValueError, ("'video'", "(24, 0)"), X=replaced(video=np.ones((N, 0)))),
    Case("ragged", ValueError, ("'video'", "unequal"), X=replaced(video=[[1], [1, 2]] * 12)),
    Case(
        "image",
        ValueError,
        ("'image'", "(1, 2, 3, 3, 3)", "videos (channels, frames, height", "encoders={'image'"),
        X=replaced(image=np.ones((N, 1, 2, 3, 3, 3))),
    ),
    # Values
    Case("NaN", ValueError, ("'video'", "NaN", "row 5"), X=with_value(np.nan, 5)),
    Case("NaN objects", ValueError, ("'video'", "NaN", "row 5"), X=with_value(np.nan, 5, object)),
    Case("infinity", ValueError, ("'video'", "infinity", "row 0"), X=with_value(np.inf, 0)),
    Case("-infinity", ValueError, ("'video'", "infinity", "row 23"), X=with_value(-np.inf, 23)),
    Case("half", ValueError, ("'video'", "infinity", "row 2"), X=with_value(np.inf, 2, np.half)),
    Case(
        "too large",
        ValueError,
        ("'video'", "too large for float32", "1e+39", "row 5", "dtype='float64'"),
        X=with_value(1e39, 5),
    ),
    Case(
        "missing",
        ValueError,
        ("'video'", "NaN", "row 1"),
        X=replaced(video=pd.DataFrame({"u": pd.array([1, None] * 12, dtype="Int64")})),
    ),
    Case(
        "masked",
        ValueError,
        ("'video'", "masked"),
        X=replaced(video=np.ma.masked_less(np.arange(N * 2.0).reshape(N, 2), 3)),
    ),
    Case("strings", ValueError, ("'video'", "not numeric"), X=replaced(video=[["a"]] * N)),
    Case("numbers as text", ValueError, ("'video'", "numeric"), X=replaced(video=[["1"]] * N)),
    Case(
        "numbers as text objects",
        ValueError,
        ("'video'", "not numeric", "'1'"),
        X=replaced(video=np.array([["1"]] * N, dtype=object)),
    ),
    Case(
        "numbers as text in a DataFrame",
        ValueError,
        ("'video'", "not numeric", "'1'"),
        X=replaced(video=pd.DataFrame({"u": ["1"] * N, "v": 2.0})),
    ),
    Case("objects", TypeError, ("'video'", "not numeric"), X=replaced(video=[[{"a": 1}]] * N)),
    Case("huge integers", ValueError, ("'video'", "large"), X=replaced(video=[[10**400]] * N)),
    Case(
        "dates",
        ValueError,
        ("'video'", "datetime64"),
        X=replaced(video=np.full((N, 1), np.datetime64("2025-01-01"))),
    ),
    Case("complex", ValueError, ("Complex", "'video'"), X=with_value(1j, 0, complex)),
    Case(
        "sparse NaN",
        ValueError,
        ("'video'", "NaN", "row 5", "missing='allow'"),
        X=replaced(video=sparse.csr_array(np.where(np.arange(N) == 5, np.nan, np.eye(N)).T)),
    ),
    Case(
        "sparse infinity",
        ValueError,
        ("'video'", "infinity", "row 7"),
        X=replaced(video=sparse.coo_array(([1.0, np.inf], ([3, 7], [0, 2])), shape=(N, 4))),
    ),
    Case(
        "sparse and too large",
        ValueError,
        ("'video'", "too large", "row 3"),
        X=replaced(video=sparse.csc_array(([1e39], ([3], [0])), shape=(N, 4))),
    ),
    Case(
        "sparse complex",
        ValueError,
        ("'video'", "Complex"),
        X=replaced(video=sparse.csr_array(1j * np.eye(N))),
    ),
    Case("sparse", TypeError, ("parse", "toarray()"), X=lambda X: sparse.csr_array(np.eye(N))),
    Case(
        "dictionary of keys",  # sparse, and a mapping too
        TypeError,
        ("parse", "toarray()"),
        X=lambda X: sparse.dok_array(np.eye(N)),
    ),
    # Tables
    Case("2-D NaN", ValueError, ("NaN", "row 0"), X=lambda X: X * np.nan, table=True),
    Case("2-D complex", ValueError, ("Complex",), X=lambda X: X * 1j, table=True),
    Case("no rows", ValueError, ("0 sample(s)",), X=lambda X: X[:0], y=[], table=True),
    Case("empty DataFrame", ValueError, ("0 sample(s)",), X=lambda X: pd.DataFrame({"a": []})),
    Case(
        "DataFrame of texts",
        ValueError,
        ("not numeric", "encode text"),
        X=lambda X: pd.DataFrame({"a": ["b"] * N}),
    ),
]

BAD_Y = [
    Case("None", ValueError, ("requires y", "None"), y=None),
    Case("too short", ValueError, ("5 labels", "24 samples"), y=Y[:5]),
    Case("too long", ValueError, ("25 labels", "24 samples"), y=np.r_[Y, 0]),
    Case("2-D", ValueError, ("1d array", "(24, 2)"), y=np.c_[Y, Y]),
    Case("one-hot", ValueError, ("1d array", "(24, 3)"), y=np.eye(3, dtype=int)[Y]),
    Case("NaN", ValueError, ("y contains NaN",), y=np.where(Y, Y, np.nan)),
    Case("missing", ValueError, ("y contains NaN",), y=pd.Series([1, None] * 12, dtype="Int64")),
    Case("infinity", ValueError, ("y contains infinity",), y=np.where(Y, Y, np.inf)),
    Case("continuous", ValueError, ("label type", "continuous"), y=np.linspace(0, 1, N)),
    Case("complex", ValueError, ("Complex",), y=Y * 1j),
    Case("one class", ValueError, ("at least 2 classes", "one class, 7"), y=np.full(N, 7)),
    Case("one text", ValueError, ("at least 2 classes", "'joy'"), y=["joy"] * N),
    Case("mixed", TypeError, ("int", "str", "one type"), y=np.array(["a", 1] * 12, dtype=object)),
    Case("bytes", TypeError, ("bytes", "string or integer"), y=np.array([b"a", b"b"] * 12)),
    Case("scalar", TypeError, ("at least 1 dimension",), y=3),
    Case("empty", ValueError, ("0 sample(s)",), y=[]),
]


def words(name, must_be, value, owner="MultimodalInfoRegClassifier"):
    """What the error says of a parameter: its name and owner, what it may be, what was got."""
    return f"The '{name}' parameter of {owner} must be {must_be}", f" Got {value!r}."


NUMBER = "a float in [0, inf)"
COUNT = "an int in [1, inf)"

BAD_METHOD = [
    *(
        Case(f"{name}={value!r}", ValueError, words(name, NUMBER, value), {name: value})
        for name in ("alpha", "beta", "unimodal_weight")
        for value in (-1, float("nan"), float("inf"), "1", None, True, [1.0])
    ),
    Case(
        "modality",
        ValueError,
        ("unknown modality 'txt'", "'audio', 'text', 'video'", "did you mean 'text'?"),
        {"alpha": {"txt": 1.0}},
    ),
    Case(
        "alpha, a dict",
        ValueError,
        words("alpha", f"{NUMBER} or a dict of these by modality", -1),
        {"alpha": -1},
    ),
    *(
        Case(
            f"{value!r} by modality",
            ValueError,
            ("alpha['text']", f"must be {NUMBER}. Got {value!r}."),
            {"alpha": {"text": value}},
        )
        for value in (-1, "a")
    ),
    *(
        Case(f"threshold {v!r}", ValueError, words(key, "a number", v), {key: v})
        for key in ("window_threshold",)
        for v in (float("nan"), "0.1", None, True)
    ),
    *(
        Case(f"smoothing {v!r}", ValueError, words(key, COUNT, v), {key: v})
        for key in ("window_smoothing",)
        for v in (0, -1, 1.5, "1", None)
    ),
    *(
        Case(
            f"{key}={v!r}",
            ValueError,
            words(key.split("__")[-1], f"one of {accepted}.", v, *owner),
            {key: v},
        )
        for key, accepted, *owner in (
            ("pull", "'gradient', 'decoupled'"),
            (
                "method__score",
                "'auto', 'log_probability', 'probability_sum', 'negative_loss'",
                "InfoReg",
            ),
            ("method__trace", "'encoder', 'layers'", "InfoReg"),
            ("padding", "'none', 'zeros'"),
            ("first_epoch", "'closed', 'open'"),
        )
        for v in ("other", None, 1, ["decoupled"])
    ),
    Case(
        "leader",
        ValueError,
        (
            "'leader' parameter of InfoReg",
            "unknown modality 'vido'",
            "'audio', 'text', 'video'",
            "did you mean 'video'?",
        ),
        {"method__leader": "vido"},
    ),
    Case(
        "misspelt",
        ValueError,
        ("method__paddin", "window_threshold", "did you mean 'padding'?"),
        {"method__paddin": "zeros"},
    ),
    Case(
        "twice",
        ValueError,
        ("alpha=2.0 and method__alpha=1.0",),
        {"alpha": 2.0, "method__alpha": 1.0},
    ),
    *(
        Case(
            f"method {value!r}",
            TypeError,
            (
                *words("method", "the class InfoReg or a subclass", value),
                "MultimodalClassifier(method=",
            ),
            {"method": value},
        )
        for value in ("inforeg", InfoReg(), Joint, None, 3, nn.Linear)
    ),
    Case("no traces", ValueError, ("fisher=None", "InfoReg needs", "'batch'"), {"fisher": None}),
    Case(
        "fisher",
        ValueError,
        words("fisher", "one of 'batch', 'sample' or None.", "x"),
        {"fisher": "x"},
    ),
]

BAD_NETWORK = [
    Case(
        "fusion",
        ValueError,
        ("'fusion' parameter of MultimodalInfoRegClassifier", "'concat'", "Got 'add'"),
        {"fusion": "add"},
    ),
    Case(
        "fusion type",
        TypeError,
        ("'fusion' parameter", "'concat'", "callable", "Got 3."),
        {"fusion": 3},
    ),
    Case("fusion fails", ValueError, ("fusion failed", "KeyError: 'lost'"), {"fusion": BadFusion}),
    Case("fusion shape", ValueError, ("gave <class 'dict'>",), {"fusion": nn.Identity}),
    Case("fusion setting", ValueError, ("fusion__x", "no settings"), {"fusion__x": 1}),
    *(
        Case(f"{fusion} {i}", ValueError, ("fusion could not be made", *words), params)
        for fusion in ("gated", "film")
        for i, (words, params) in enumerate(
            (
                (("fusion__conditioning=...", "'audio', 'text', 'video'"), {"fusion": fusion}),
                (
                    ("fusion__conditioning='vido'", "did you mean 'video'?"),
                    {"fusion": fusion, "fusion__conditioning": "vido"},
                ),
                (
                    ("fusion__conditioning=2", "'audio', 'text', 'video'"),
                    {"fusion": fusion, "fusion__conditioning": 2},
                ),
            )
        )
    ),
    *(
        Case(
            f"{fusion} {width!r}",
            ValueError,
            words("width", f"None or {COUNT}.", width, fusion.capitalize()),
            {"fusion": fusion, "fusion__width": width},
        )
        for fusion in ("sum", "attention")
        for width in (0, 2.5, "3", True)
    ),
    Case("encoder", ValueError, ("'lstm'", "'mlp', 'gru'"), {"encoders": "lstm"}),
    Case(
        "encoder type",
        TypeError,
        ("encoders['audio']\" parameter", "'auto', 'mlp', 'gru'", "Got 3."),
        {"encoders": 3},
    ),
    Case(
        "encoder None", TypeError, ("encoders['text']", "Got None."), {"encoders": {"text": None}}
    ),
    Case(
        "encoder of an unknown modality",
        ValueError,
        ("'txt'", "'audio', 'text', 'video'", "did you mean 'text'?"),
        {"encoders": {"txt": "mlp"}},
    ),
    Case("instance", TypeError, ("one module instance", "dict"), {"encoders": nn.Linear(6, 2)}),
    Case("gru", ValueError, ("'text'", "sequences", "(6,)"), {"encoders": {"text": "gru"}}),
    Case(
        "other size",
        ValueError,
        ("'text' failed", "shape (6,)", "mat1"),
        {"encoders": {"text": nn.Linear(5, 2)}},
    ),
    Case(
        "wrong shape",
        ValueError,
        ("'text' gave (2, 1, 6)",),
        {"encoders": gives(lambda x: x[:, None])},
    ),
    Case("no tensor", ValueError, ("'text' gave", "tuple"), {"encoders": gives(lambda x: (x,))}),
    Case(
        "no feature", ValueError, ("'text' gave (2, 0)",), {"encoders": gives(lambda x: x[:, :0])}
    ),
    Case(
        "integers", ValueError, ("'text' gave torch.int64",), {"encoders": gives(torch.Tensor.long)}
    ),
    Case(
        "crash", ValueError, ("'text' failed", "KeyError"), {"encoders": gives(lambda x: {}["a"])}
    ),
    Case(
        "factory of no module",
        TypeError,
        ("encoders['text'] made int", "torch module"),
        {"encoders": {"text": lambda input_shape: 3}},
    ),
    Case(
        "factory that fails",
        ValueError,
        ("'text' could not be made", "lost"),
        {"encoders": {"text": lambda input_shape: {}["lost"]}},
    ),
    Case("setting", ValueError, ("encoders__hiden", "'hidden'?"), {"encoders__hiden": 3}),
    Case(
        "setting of one",
        ValueError,
        ("encoders__text__n_layers", "'text' takes dropout, hidden"),
        {"encoders__text__n_layers": 3},
    ),
    Case(
        "value",
        ValueError,
        ("modality 'audio'", *words("hidden", COUNT, 0, "MLPEncoder")),
        {"encoders__hidden": 0},
    ),
    Case("image", ValueError, ("'text'", "takes images", "(6,)"), {"encoders": {"text": "cnn"}}),
    Case(
        "heads",
        ValueError,
        ("'audio'", "hidden=6, n_heads=4", "divisible"),
        {"encoders": {"audio": "transformer"}, "encoders__audio__hidden": 6},
    ),
    Case(
        "dropout",
        ValueError,
        ("modality 'audio'", *words("dropout", "a float in [0, 1).", 1.5, "MLPEncoder")),
        {"encoders__dropout": 1.5},
    ),
]

BAD_TRAINING = [
    *(
        Case(f"{name} {v!r}", ValueError, words(name, COUNT, v), {name: v})
        for name in ("max_epochs", "batch_size")
        for v in (0, -2, 1.5, "2", None)
    ),
    *(
        Case(f"lr {v!r}", ValueError, words("lr", NUMBER, v), {"lr": v})
        for v in (-1, float("nan"), float("inf"))
    ),
    *(
        Case(
            f"dtype {v!r}",
            ValueError,
            ("'dtype' parameter", "must be one of 'float32', 'float64'.", f"Got {v!r}."),
            {"dtype": v},
        )
        for v in ("float16", "x", int, 3)
    ),
    Case(
        "device",
        ValueError,
        ("'device' parameter", "'auto', 'cpu', 'cuda'", "Got 'gpu'"),
        {"device": "gpu"},
    ),
    *(
        Case(
            f"criterion {v!r}",
            TypeError,
            words("criterion", "CrossEntropyLoss or a subclass.", v),
            {"criterion": v},
        )
        for v in (nn.MSELoss, "nll", None)
    ),
    Case(
        "criterion weights",
        ValueError,
        ("criterion__weight", "class_weight or sample_weight"),
        {"criterion__weight": torch.ones(3)},
    ),
    Case(
        "reduction", ValueError, ("criterion__reduction", "mean"), {"criterion__reduction": "sum"}
    ),
    Case("random state", ValueError, ("'seed'",), {"random_state": "seed"}),
    Case("class", ValueError, ("unknown class 9", "[0, 1, 2]"), {"class_weight": {9: 1.0}}),
    Case("class weights", ValueError, ("class_weight", "'equal'"), {"class_weight": "equal"}),
    Case(
        "no class", ValueError, ("All weights are 0",), {"class_weight": dict.fromkeys(range(3), 0)}
    ),
    Case("negative", ValueError, ("negative value -1",), fit={"sample_weight": -np.ones(N)}),
    Case("weights", ValueError, ("(5,)", "(24,)"), fit={"sample_weight": np.ones(5)}),
    Case("2-D weights", ValueError, ("1D array", "2D"), fit={"sample_weight": np.ones((N, 1))}),
    Case("all zero", ValueError, ("at least one",), fit={"sample_weight": np.zeros(N)}),
    Case("NaN", ValueError, ("weight contains NaN",), fit={"sample_weight": np.full(N, np.nan)}),
    Case("text", ValueError, ("'a'",), fit={"sample_weight": ["a"] * N}),
]

BAD_COLUMNS = [
    Case("a mapping", ValueError, ("modalities=", "mapping", "None"), {"modalities": {"u": [0]}}),
    *(
        Case(f"{v!r}", error, words, {"modalities": v}, table=True)
        for v, error, words in (
            ({"u": [0], "v": [9]}, ValueError, ("'v'", "[9]", "6 columns")),
            ({"u": slice(6, 9)}, ValueError, ("'u' has no columns", "slice(6, 9")),
            ({"u": ["pitch"]}, ValueError, ("'u'", "'pitch'")),
            ({}, ValueError, ("modalities must be a dict", "Got {}")),
            ([0, 1], ValueError, ("modalities must be a dict", "Got [0, 1]")),
            ({"u": None}, ValueError, ("'u'", "None")),
            ({3: [0]}, TypeError, ("names must be strings", "3")),
        )
    ),
]

GROUPS = {
    "X": BAD_X,
    "y": BAD_Y,
    "method": BAD_METHOD,
    "network": BAD_NETWORK,
    "training": BAD_TRAINING,
    "columns": BAD_COLUMNS,
}
CASES = [
    pytest.param(case, id=f"{group}: {case.name}")
    for group, cases in GROUPS.items()
    for case in cases
]
