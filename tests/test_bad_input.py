"""Bad input: an error that says what was got and what is accepted, before anything changes."""

import copy
import pickle
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError
from skorch.dataset import ValidSplit
from skorch.utils import to_numpy
from torch import nn

from inforeg_sk import InfoReg, Joint, MultimodalClassifier, MultimodalInfoRegClassifier

N = 24
Y = np.arange(N) % 3
SETTINGS = {"max_epochs": 2, "random_state": 0}


def make_data():
    rng = np.random.default_rng(0)
    return {
        "text": rng.normal(size=(N, 6)),
        "audio": rng.normal(size=(N, 5, 4)),
        "video": rng.normal(size=(N, 3)),
    }


def make_table():
    return np.random.default_rng(1).normal(size=(N, 6))


def replaced(**values):
    """A change of the data: other values for some modalities."""
    return lambda X: {**X, **values}


def with_value(value, row, dtype=np.float64):
    array = np.ones((N, 2), dtype=dtype)
    array[row, 1] = value
    return replaced(video=array)


# See the end of this file.


class Case(NamedTuple):
    """One bad input of ``fit``."""

    name: str
    error: type
    words: tuple
    params: dict = {}
    X: Any = None  # a function of the good data
    y: Any = "good"
    fit: dict = {}
    table: bool = False  # the good data are a 2-D array


class Broken(nn.Module):
    """An encoder that fails, or gives what is no feature vector."""

    def __init__(self, input_shape, function=None):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.function(x)


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
        ValueError,
        (*MAPPING, "got TensorDataset"),
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
    Case("name", TypeError, ("names are strings", "3", "int"), X=lambda X: {3: X["text"]}),
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

NUMBER = "a finite number of at least 0"

BAD_METHOD = [
    *(
        Case(f"{name}={value!r}", ValueError, (f"{name}={value!r}", NUMBER), {name: value})
        for name in ("alpha", "beta", "unimodal_weight")
        for value in (-1, float("nan"), float("inf"), "1", None, True, [1.0])
    ),
    Case(
        "modality",
        ValueError,
        ("unknown modality 'txt'", "'audio', 'text', 'video'", "did you mean 'text'?"),
        {"alpha": {"txt": 1.0}},
    ),
    Case("by modality", ValueError, ("alpha['text']=-1", NUMBER), {"alpha": {"text": -1}}),
    Case("text by modality", ValueError, ("alpha['text']='a'",), {"alpha": {"text": "a"}}),
    *(
        Case(f"threshold {v!r}", ValueError, (f"window_threshold={v!r}", "a number"), {key: v})
        for key in ("window_threshold",)
        for v in (float("nan"), "0.1", None, True)
    ),
    *(
        Case(f"smoothing {v!r}", ValueError, (f"window_smoothing={v!r}", "at least 1"), {key: v})
        for key in ("window_smoothing",)
        for v in (0, -1, 1.5, "1", None)
    ),
    *(
        Case(f"{key}={v!r}", ValueError, (f"{key.split('__')[-1]}={v!r}", *accepted), {key: v})
        for key, accepted in {
            "strength": ("'coefficient', 'drift'",),
            "method__score": ("'log_probability', 'probability_sum'",),
            "method__trace": ("'encoder', 'layers'",),
            "padding": ("'none', 'zeros'",),
            "first_epoch": ("'closed', 'open'",),
        }.items()
        for v in ("other", None, 1, ["drift"])
    ),
    Case(
        "leader",
        ValueError,
        ("leader='vido'", "None, 'audio', 'text', 'video'", "did you mean 'video'?"),
        {"method__leader": "vido"},
    ),
    Case(
        "misspelt",
        ValueError,
        ("method__paddin", "window_threshold", "did you mean 'padding'?"),
        {"method__paddin": "zeros"},
    ),
    Case("twice", ValueError, ("method__alpha is given as alpha",), {"method__alpha": 1.0}),
    *(
        Case(
            f"method {value!r}",
            TypeError,
            (f"method={value!r}", "class InfoReg or a subclass", "MultimodalClassifier(method="),
            {"method": value},
        )
        for value in ("inforeg", InfoReg(), Joint, None, 3, nn.Linear)
    ),
    Case("no traces", ValueError, ("fisher=None", "InfoReg needs", "'batch'"), {"fisher": None}),
    Case("fisher", ValueError, ("fisher='x'", "'batch' and None"), {"fisher": "x"}),
]

BAD_NETWORK = [
    Case("fusion", ValueError, ("fusion='add'", "'concat'"), {"fusion": "add"}),
    Case("fusion type", TypeError, ("fusion=3", "'concat'", "callable"), {"fusion": 3}),
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
            (f"width={width!r}: positive integers are needed",),
            {"fusion": fusion, "fusion__width": width},
        )
        for fusion in ("sum", "attention")
        for width in (0, 2.5, "3", True)
    ),
    Case("encoder", ValueError, ("'lstm'", "'mlp', 'gru'"), {"encoders": "lstm"}),
    Case("encoder type", TypeError, ("is 3", "'auto', 'mlp', 'gru'"), {"encoders": 3}),
    Case("encoder None", TypeError, ("['text'] is None",), {"encoders": {"text": None}}),
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
    Case("value", ValueError, ("'audio'", "hidden=0", "positive"), {"encoders__hidden": 0}),
    Case("image", ValueError, ("'text'", "takes images", "(6,)"), {"encoders": {"text": "cnn"}}),
    Case(
        "heads",
        ValueError,
        ("'audio'", "hidden=6, n_heads=4", "divisible"),
        {"encoders": {"audio": "transformer"}, "encoders__audio__hidden": 6},
    ),
    Case("dropout", ValueError, ("'audio'", "dropout=1.5", "[0, 1)"), {"encoders__dropout": 1.5}),
]

BAD_TRAINING = [
    *(
        Case(f"{name} {v!r}", ValueError, (f"{name}={v!r}", "integer of at least 1"), {name: v})
        for name in ("max_epochs", "batch_size")
        for v in (0, -2, 1.5, "2", None)
    ),
    *(
        Case(f"lr {v!r}", ValueError, (f"lr={v!r}", "at least 0"), {"lr": v})
        for v in (-1, float("nan"), float("inf"))
    ),
    *(
        Case(f"dtype {v!r}", ValueError, (f"dtype={v!r}", "'float32' and 'float64'"), {"dtype": v})
        for v in ("float16", "x", int, 3)
    ),
    Case("device", ValueError, ("device='gpu'", "'auto', 'cpu', 'cuda'"), {"device": "gpu"}),
    *(
        Case(f"criterion {v!r}", TypeError, ("criterion=", "CrossEntropyLoss"), {"criterion": v})
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
            ({"u": 0}, ValueError, ("'u'", "(24,)", "reshape")),
            ({}, ValueError, ("modalities is a dict", "got {}")),
            ([0, 1], ValueError, ("modalities is a dict", "got [0, 1]")),
            ({"u": None}, ValueError, ("'u'", "None")),
            ({3: [0]}, TypeError, ("names are strings", "3")),
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


def inputs(case):
    good = make_table() if case.table else make_data()
    X = good if case.X is None else case.X(good)
    return X, Y if isinstance(case.y, str) else case.y


def check_message(case, info):
    for word in case.words:
        assert word in str(info.value), str(info.value)


def refuse_first_fit(case):
    clf = MultimodalInfoRegClassifier(**{**SETTINGS, **case.params})
    before = dict(vars(clf))
    X, y = inputs(case)
    with pytest.raises(case.error) as info:
        clf.fit(X, y, **case.fit)
    check_message(case, info)
    assert vars(clf).keys() == before.keys()
    assert all(vars(clf)[name] is value for name, value in before.items())
    with pytest.raises(NotFittedError):
        clf.predict(make_data())


@pytest.fixture
def no_training(monkeypatch):
    """Fails a test that reaches the training loop."""

    def reached(self, *args, **kwargs):
        pytest.fail("training was reached")

    def forbid():
        monkeypatch.setattr(MultimodalClassifier, "fit_loop", reached)

    return forbid


@pytest.fixture(scope="module")
def fitted():
    """Fitted classifiers as pickles: a test may spoil its copy."""
    models = {
        False: MultimodalInfoRegClassifier(**SETTINGS).fit(make_data(), Y),
        True: MultimodalInfoRegClassifier(**SETTINGS).fit(make_table(), Y),
    }
    return {table: pickle.dumps(model) for table, model in models.items()}


class Snapshot:
    """What must not change when a fit is refused."""

    def __init__(self, clf, X):
        self.X = X
        self.state = self.look(clf)
        self.objects = {
            name: getattr(clf, name) for name in ("module_", "optimizer_", "method_", "history_")
        }

    def look(self, clf):
        return {
            "proba": clf.predict_proba(self.X).tolist(),
            "weights": [to_numpy(v).tolist() for v in clf.module_.state_dict().values()],
            "optimizer": [
                {name: to_numpy(value).tolist() for name, value in state.items()}
                for state in clf.optimizer_.state.values()
            ],
            "groups": [
                {**group, "params": list(map(id, group["params"]))}
                for group in clf.optimizer_.param_groups
            ],
            "history": clf.history.to_list(),
            "attributes": {name for name in vars(clf) if "__" not in name},
            "n_features_in_": getattr(clf, "n_features_in_", None),
            "classes": clf.classes_.tolist(),
            "modalities": clf.modalities_,
            "shuffling": clf.shuffling_.get_state().tolist(),
        }

    def assert_unchanged(self, clf):
        for name, value in self.look(clf).items():
            assert value == self.state[name], f"{name} has changed"
        for name, value in self.objects.items():
            assert getattr(clf, name) is value, f"{name} was replaced"


# Nothing is trained, and nothing is left behind


@pytest.mark.parametrize("case", CASES)
def test_first_fit(case, no_training):
    no_training()
    refuse_first_fit(case)


@pytest.mark.parametrize("case", CASES)
def test_second_fit(case, no_training, fitted):
    clf = pickle.loads(fitted[case.table])
    snapshot = Snapshot(clf, make_table() if case.table else make_data())
    old = clf.get_params(deep=False)
    X, y = inputs(case)
    given = {name: value for name, value in case.params.items() if name != "lr"}
    no_training()
    clf.set_params(**given)
    vars(clf).update({name: case.params[name] for name in case.params.keys() - given.keys()})
    with pytest.raises(case.error) as info:
        clf.fit(X, y, **case.fit)
    check_message(case, info)
    # The parameters are the user's; the model is what may not change.
    for name in case.params:
        vars(clf).update({name: old[name]}) if name in old else vars(clf).pop(name)
    snapshot.assert_unchanged(clf)


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("case", [c for c in CASES if c.id.startswith(("X: ", "y: "))])
def test_going_on(case, no_training, fitted, how):
    X, y = inputs(case)
    clf = pickle.loads(fitted[case.table])
    snapshot = Snapshot(clf, make_table() if case.table else make_data())
    clf.set_params(warm_start=True)
    no_training()
    with pytest.raises((TypeError, ValueError)):
        (clf.partial_fit if how == "partial_fit" else clf.fit)(X, y)
    snapshot.assert_unchanged(clf)


def test_a_good_second_fit_is_reached(no_training, fitted):
    """The guard of the tests above works."""
    clf = pickle.loads(fitted[False])
    no_training()
    with pytest.raises(pytest.fail.Exception, match="training was reached"):
        clf.fit(make_data(), Y)


@pytest.mark.parametrize(
    "params, words",
    [
        ({"optimizer__weigt_decay": 0.1}, "weigt_decay"),
        ({"optimizer__weight_decay": -1}, "weight_decay"),
        ({"criterion__smoothing": 0.1}, "smoothing"),
        ({"use_caching": "x"}, "use_caching"),
    ],
)
def test_settings_that_skorch_refuses(params, words, no_training):
    no_training()
    clf = MultimodalInfoRegClassifier(**SETTINGS, **params)
    before = set(vars(clf))
    with pytest.raises((TypeError, ValueError), match=words):
        clf.fit(make_data(), Y)
    assert set(vars(clf)) == before and not clf.initialized_


def test_a_refused_table_leaves_the_number_of_features(fitted):
    clf = pickle.loads(fitted[True])
    assert clf.n_features_in_ == 6
    frame = pd.DataFrame(np.ones((N, 3)), columns=list("abc"))
    for X, y in ((np.full((N, 3), np.nan), Y), (frame, Y[:3]), (make_data(), Y[:3])):
        with pytest.raises(ValueError):
            clf.fit(X, y)
        assert clf.n_features_in_ == 6 and not hasattr(clf, "feature_names_in_")
    clf.fit(frame + np.arange(N)[:, None], Y)
    assert clf.n_features_in_ == 3 and clf.feature_names_in_.tolist() == list("abc")
    clf.fit(make_data(), Y)
    assert not hasattr(clf, "n_features_in_") and not hasattr(clf, "feature_names_in_")


@pytest.mark.parametrize("row", [0, 4095, 4096, 8999])
@pytest.mark.parametrize(
    "value, words", [(np.nan, "NaN"), (np.inf, "infinity"), (-1e300, "too large for float32")]
)
def test_rows_are_named_in_every_chunk(row, value, words, no_training):
    no_training()
    X = {"a": np.ones((9000, 1)), "b": np.zeros((9000, 2, 2))}
    X["b"][row, 1, 0] = value
    with pytest.raises(ValueError, match=rf"'b' contains .*{words}.* in row {row}:"):
        MultimodalInfoRegClassifier().fit(X, np.arange(9000) % 2)


def test_large_values_need_float64_and_sums_may_overflow():
    """Finite values are accepted even where their sum is not finite."""
    X = make_data()
    X["video"] = np.where(np.arange(3) == 0, 1e300, X["video"])
    with pytest.raises(ValueError, match="use dtype='float64'"):
        MultimodalInfoRegClassifier(**SETTINGS).fit(X, Y)
    half = {"half": np.full((N, 3), 6e4, dtype=np.float16)}  # a sum in float16 overflows
    large = {"large": np.full((N, 3), 1.7e308)}
    MultimodalInfoRegClassifier(**SETTINGS).fit(half, Y)
    MultimodalInfoRegClassifier(
        **SETTINGS, dtype="float64", encoders=lambda input_shape: Broken(input_shape, torch.sign)
    ).fit(large, Y)


# The constructor


@pytest.mark.parametrize(
    "name, words",
    [
        ("alpa", "did you mean 'alpha'?"),
        ("max_epoch", "did you mean 'max_epochs'?"),
        ("optimiser", "did you mean 'optimizer'?"),
        ("encoder__hidden", "did you mean 'encoders__...'?"),
        ("methd__padding", "did you mean 'method__...'?"),
        ("module", ""),
        ("module__hidden", ""),
        ("zzz", "see get_params()"),
    ],
)
def test_misspelt_arguments(name, words):
    for estimator in (MultimodalInfoRegClassifier, MultimodalClassifier):
        if name == "alpa" and estimator is MultimodalClassifier:
            continue
        with pytest.raises(TypeError) as info:
            estimator(**{name: 3})
        assert f"has no parameter {name!r}" in str(info.value) and words in str(info.value)
        assert estimator.__name__ in str(info.value)


@pytest.mark.parametrize("name", ["alpa", "zzz", "methd__padding"])
def test_set_params_of_unknown_names(name, fitted, no_training):
    no_training()
    # Names with a prefix may come before what they belong to, so that fit has the last word.
    for clf in (MultimodalInfoRegClassifier(), pickle.loads(fitted[False])):
        with pytest.raises(ValueError, match=name):
            clf.set_params(**{name: 3}).fit(make_data(), Y)


# Prediction

PREDICTORS = [
    "predict",
    "predict_proba",
    "transform_by_modality",
    "predict_proba_by_modality",
]


@pytest.mark.parametrize("method", PREDICTORS)
@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda X: {"text": X["text"]}, ValueError, ["misses 'audio', 'video'", "fitted with"]),
        (
            lambda X: {**X, "vido": X["text"]},
            ValueError,
            ["unknown 'vido'", "'audio', 'text', 'video'"],
        ),
        (
            lambda X: {"txt": X["text"], "audio": X["audio"], "video": X["video"]},
            ValueError,
            ["misses 'text'", "unknown 'txt'"],
        ),
        (replaced(text=np.ones((N, 4))), ValueError, ["'text'", "shape (4,)", "fitted with (6,)"]),
        (replaced(audio=np.ones((N, 4, 4))), ValueError, ["'audio'", "(4, 4)", "(5, 4)"]),
        (replaced(text=np.ones((N, 6, 1))), ValueError, ["'text'", "(6, 1)", "(6,)"]),
        (replaced(text=np.ones((7, 6))), ValueError, ["'text' has 7", "'audio' has 24"]),
        (with_value(np.nan, 3), ValueError, ["'video'", "NaN", "row 3"]),
        (with_value(1e39, 3), ValueError, ["'video'", "too large", "row 3"]),
        (replaced(text=[["1"] * 6] * N), ValueError, ["'text'", "not numeric"]),
        (replaced(text=sparse.csr_array((N, 5))), ValueError, ["'text'", "(5,)", "(6,)"]),
        (lambda X: {k: v[:0] for k, v in X.items()}, ValueError, ["0 sample(s)"]),
        (lambda X: {}, ValueError, ["empty"]),
        (
            lambda X: X["text"],
            ValueError,
            ["fitted with a mapping", "'audio', 'text', 'video'", "got ndarray"],
        ),
        (lambda X: pd.DataFrame(X["text"]), ValueError, ["mapping", "got DataFrame"]),
        (lambda X: None, ValueError, ["mapping", "got NoneType"]),
        (lambda X: sparse.dok_array((N, 6)), ValueError, ["mapping", "got dok_array"]),
    ],
)
def test_prediction_after_a_mapping(change, error, words, method, fitted):
    clf = pickle.loads(fitted[False])
    with pytest.raises(error) as info:
        getattr(clf, method)(change(make_data()))
    for word in words:
        assert word in str(info.value)


@pytest.mark.parametrize("method", PREDICTORS)
@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda X: make_data(), ValueError, ["unknown 'text'", "'X'"]),
        (lambda X: X[:, :4], ValueError, ["4 features", "6 features"]),
        (lambda X: X[0], ValueError, ["2-D", "(6,)"]),
        (lambda X: X[None], ValueError, ["2-D", "(1, 24, 6)"]),
        (lambda X: X * np.inf, ValueError, ["infinity", "row 0"]),
        (lambda X: sparse.csr_array(X), TypeError, ["parse", "toarray()"]),
        (lambda X: None, ValueError, ["2-D", "NoneType"]),
        (lambda X: X[:0], ValueError, ["0 sample(s)"]),
    ],
)
def test_prediction_after_a_table(change, error, words, method, fitted):
    clf = pickle.loads(fitted[True])
    with pytest.raises(error) as info:
        getattr(clf, method)(change(make_table()))
    for word in words:
        assert word in str(info.value)


def test_other_column_names():
    frame = pd.DataFrame(make_table(), columns=list("abcdef"))
    columns = {"u": ["a", "b"], "v": slice("c", "f")}
    clf = MultimodalInfoRegClassifier(**SETTINGS, modalities=columns).fit(frame, Y)
    for other in (frame[list("fedcba")], frame.rename(columns={"a": "z"})):
        with pytest.raises(ValueError, match="feature names should match"):
            clf.predict(other)
    by_hand = {"u": frame[["a", "b"]], "v": frame[list("cdef")]}
    np.testing.assert_array_equal(clf.predict(frame), clf.predict(by_hand))


@pytest.mark.parametrize("method", [*PREDICTORS, "score", "score_by_modality"])
def test_not_fitted(method):
    args = (make_data(), Y) if method.startswith("score") else (make_data(),)
    with pytest.raises(NotFittedError):
        getattr(MultimodalInfoRegClassifier(), method)(*args)


@pytest.mark.parametrize(
    "attribute", ["encoders_", "head_", "fisher_trace_", "window_", "coefficient_"]
)
def test_no_results_before_fitting(attribute):
    clf = MultimodalInfoRegClassifier()
    assert not hasattr(clf, attribute)
    with pytest.raises(AttributeError, match="not fitted yet"):
        getattr(clf, attribute)


def test_results_that_were_not_recorded():
    clf = MultimodalInfoRegClassifier(fisher=None, alpha=0.0, **SETTINGS).fit(make_data(), Y)
    for attribute in ("fisher_trace_", "window_"):
        with pytest.raises(AttributeError, match=f"{attribute} was not recorded.*fisher=None"):
            getattr(clf, attribute)


# Going on


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize(
    "change, y, words",
    [
        (replaced(text=np.ones((N, 4))), Y, ["'text'", "(4,)", "(6,)"]),
        (lambda X: {"text": X["text"]}, Y, ["misses 'audio', 'video'"]),
        (replaced(new=np.ones((N, 1))), Y, ["unknown 'new'"]),
        (lambda X: X["text"], Y, ["mapping", "ndarray"]),
        (with_value(np.nan, 3), Y, ["'video'", "NaN", "row 3"]),
        (lambda X: X, Y + 1, ["label 3", "[0, 1, 2]"]),
        (lambda X: X, Y - 1, ["label -1", "[0, 1, 2]"]),
        (lambda X: X, np.array(["joy", "fear", "joy"] * 8), ["label 'joy'", "[0, 1, 2]"]),
        (lambda X: X, Y[:5], ["5 labels", "24 samples"]),
    ],
)
def test_going_on_with_other_data(change, y, words, how, no_training, fitted):
    clf = pickle.loads(fitted[False]).set_params(warm_start=True)
    snapshot = Snapshot(clf, make_data())
    no_training()
    with pytest.raises(ValueError) as info:
        (clf.partial_fit if how == "partial_fit" else clf.fit)(change(make_data()), y)
    for word in words:
        assert word in str(info.value)
    snapshot.assert_unchanged(clf)


@pytest.mark.parametrize(
    "params, kwargs, words",
    [
        ({}, {"classes": [0, 1]}, ["label 2", "[0, 1]"]),
        ({}, {"classes": [0]}, ["at least 2 classes"]),
        ({"class_weight": "balanced"}, {}, ["class_weight='balanced'", "partial_fit", "dict"]),
    ],
)
def test_first_partial_fit(params, kwargs, words, no_training):
    no_training()
    clf = MultimodalInfoRegClassifier(**SETTINGS, **params)
    before = set(vars(clf))
    with pytest.raises(ValueError) as info:
        clf.partial_fit(make_data(), Y, **kwargs)
    for word in words:
        assert word in str(info.value)
    assert set(vars(clf)) == before


def test_going_on_with_bad_settings(no_training, fitted):
    clf = pickle.loads(fitted[False])
    snapshot = Snapshot(clf, make_data())
    no_training()
    for params, words in (
        ({"alpha": -1}, "alpha=-1"),
        ({"method__leader": "txt"}, "did you mean 'text'"),
        ({"class_weight": {9: 1}}, "unknown class 9"),
    ):
        changed = copy.deepcopy(params)
        old = {name: clf.get_params(deep=False).get(name) for name in params}
        clf.set_params(**changed)
        with pytest.raises(ValueError, match=words):
            clf.partial_fit(make_data(), Y)
        clf.set_params(**old)
        snapshot.assert_unchanged(clf)


# Settings of a fitted model


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": torch.optim.SGD},
        {"optimizer__weight_decay": 0.5},
        {"iterator_train__num_workers": 0},
        {"criterion__label_smoothing": 0.5},
        {"compile": False},
        {"alpha": 0.0, "padding": "zeros", "encoders__hidden": 3, "fusion": "concat"},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_setting_a_parameter_leaves_the_model(params, fitted):
    clf = pickle.loads(fitted[False])
    before = clf.predict_proba(make_data())
    clf.set_params(**params)
    np.testing.assert_array_equal(clf.predict_proba(make_data()), before)


def test_an_optimizer_setting_holds_at_the_next_fit(fitted):
    clf = pickle.loads(fitted[False]).set_params(optimizer__weight_decay=0.5)
    assert clf.get_params()["optimizer__weight_decay"] == 0.5
    assert clf.fit(make_data(), Y).optimizer_.param_groups[0]["weight_decay"] == 0.5


# Settings that skorch or torch would refuse late, or in words that name nothing.

LATE = [
    Case("lr 'x'", ValueError, ("lr='x'",), {"lr": "x"}),
    Case("lr None", ValueError, ("lr=None",), {"lr": None}),
    Case("bool epochs", ValueError, ("max_epochs=True",), {"max_epochs": True}),
    Case("bool batch", ValueError, ("batch_size=True",), {"batch_size": True}),
    Case("bool smoothing", ValueError, ("window_smoothing=True",), {"window_smoothing": True}),
    Case("device list", (TypeError, ValueError), ("device=['cpu']",), {"device": ["cpu"]}),
    Case("optimizer", (TypeError, ValueError), ("optimizer=None",), {"optimizer": None}),
    Case("callbacks", (TypeError, ValueError), ("callbacks='x'",), {"callbacks": "x"}),
    Case("split", (TypeError, ValueError), ("train_split=3",), {"train_split": 3}),
    Case(
        "smoothing",
        ValueError,
        ("label_smoothing=2",),
        {"criterion__label_smoothing": 2},
    ),
    Case(
        "weights in a criterion instance",
        ValueError,
        ("weight",),
        {"criterion": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 0.0, 0.0]))},
    ),
    Case(
        "iterator setting",
        (TypeError, ValueError),
        ("iterator_train__sufle",),
        {"iterator_train__sufle": True},
    ),
    Case("no full batch", ValueError, ("drop_last",), {"iterator_train__drop_last": True}),
    Case("pattern", ValueError, ("txt",), {"optimizer__param_groups": [("txt.*", {"lr": 0})]}),
    *(
        Case(f"class weight {v}", ValueError, ("class_weight", str(v)), {"class_weight": {0: v}})
        for v in (-1.0, float("nan"), float("inf"))
    ),
    Case("1e300", ValueError, ("weight", "large"), fit={"sample_weight": np.full(N, 1e300)}),
    Case("1e-300", ValueError, ("weight", "small"), fit={"sample_weight": np.full(N, 1e-300)}),
    Case(
        "sum of losses",
        ValueError,
        ("criterion__reduction",),
        {"criterion": nn.CrossEntropyLoss(reduction="sum")},
    ),
    Case("no dtype", ValueError, ("dtype=None",), {"dtype": None}),
    Case(
        "optimizer setting",
        TypeError,
        ("optimizer__momentun", "'momentun'"),
        {"optimizer": torch.optim.SGD, "optimizer__momentun": 1, "optimizer__nesterov": False},
    ),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in LATE])
def test_late_faults(case, no_training):
    no_training()
    refuse_first_fit(case)


@pytest.mark.parametrize("params", [{"train_split": 3}, {"criterion__label_smoothing": 2}])
def test_what_fails_in_the_first_step_leaves_the_model(params, fitted):
    clf = pickle.loads(fitted[False])
    before, history = clf.predict_proba(make_data()), clf.history.to_list()
    clf.set_params(**params)
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        clf.fit(make_data(), Y)
    assert clf.history.to_list() == history
    np.testing.assert_array_equal(clf.predict_proba(make_data()), before)


@pytest.mark.parametrize("how", ["fit", "partial_fit", "warm_start"])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_a_misspelt_optimizer_setting_leaves_the_model(how, optimizer, fitted, no_training):
    clf = pickle.loads(fitted[False])
    clf.set_params(optimizer=optimizer, optimizer__momentun=1, warm_start=how == "warm_start")
    snapshot = Snapshot(clf, make_data())
    no_training()
    with pytest.raises(TypeError, match=r"optimizer__momentun: .*'momentun'"):
        (clf.partial_fit if how == "partial_fit" else clf.fit)(make_data(), Y)
    snapshot.assert_unchanged(clf)


@pytest.mark.parametrize("how", ["fit", "partial_fit", "warm_start"])
@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize(
    "name, bad, good, words",
    [
        ("train_split", ValidSplit(500), None, "500"),
        ("iterator_train__num_workers", -1, 0, "num_workers"),
    ],
)
def test_what_fails_before_the_first_epoch_leaves_the_model(
    name, bad, good, words, table, how, fitted
):
    clf, twin = pickle.loads(fitted[table]), pickle.loads(fitted[table])
    X = make_table() if table else make_data()
    X_new, y_new = X, Y
    if how == "fit":  # of another shape, with other classes
        X_new = X[:, :4] if table else {"video": X["video"], "new": X["text"]}
        y_new = np.where(Y > 0, "high", "low")
    snapshot = Snapshot(clf, X)
    before = clf.predict_proba(X)
    clf.set_params(**{name: bad, "warm_start": how == "warm_start"})
    for _ in range(2):
        with pytest.raises(ValueError, match=words):
            (clf.partial_fit if how == "partial_fit" else clf.fit)(X_new, y_new)
        snapshot.assert_unchanged(clf)
    clf.set_params(**{name: good, "warm_start": False})
    assert np.array_equal(clf.predict_proba(X), before)
    # It goes on as if nothing had been tried.
    twin.partial_fit(X, Y).partial_fit(X, Y)
    clf.partial_fit(X, Y).partial_fit(X, Y)
    assert np.array_equal(clf.predict_proba(X), twin.predict_proba(X))
    assert clf.history[:, "train_loss"] == twin.history[:, "train_loss"]
    assert not np.array_equal(clf.predict_proba(X), before)


# A criterion that gives one number for a batch, whatever its reduction.


class Focal(nn.CrossEntropyLoss):
    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, input, target):
        p = input.softmax(dim=1).gather(1, target[:, None])[:, 0]
        return (-((1 - p) ** self.gamma) * p.log()).mean()


@pytest.mark.parametrize("params", [{"criterion": Focal}, {"criterion": Focal(2.0)}])
@pytest.mark.parametrize("missing", ["error", "allow"])
def test_a_criterion_of_whole_batches_is_enough_for_whole_data(params, missing):
    X = make_data()
    clf = MultimodalInfoRegClassifier(
        lr=0.0, batch_size=-1, dtype="float64", missing=missing, **SETTINGS, **params
    ).fit(X, Y)
    losses = []
    for proba in (clf.predict_proba(X), *clf.predict_proba_by_modality(X).values()):
        p = proba[np.arange(N), Y]
        losses.append(np.mean(-((1 - p) ** 2) * np.log(p)))
    assert clf.history[0, "train_loss"] == pytest.approx(losses[0], rel=1e-10)
    assert clf.history[0, "train_objective"] == pytest.approx(sum(losses), rel=1e-10)
    steeper = clf.set_params(criterion=Focal, criterion__gamma=3.0).fit(X, Y)
    assert steeper.history[0, "train_loss"] < losses[0]


@pytest.mark.parametrize("how", ["first fit", "fit", "partial_fit"])
@pytest.mark.parametrize("given", [Focal, Focal()], ids=["class", "instance"])
@pytest.mark.parametrize(
    "params, X, fit",
    [
        ({}, {}, {"sample_weight": np.ones(N)}),
        ({"class_weight": {0: 2.0}}, {}, {}),
        (
            {"missing": "allow"},
            {"video": np.where(np.arange(N) == 3, np.nan, np.ones((3, N))).T},
            {},
        ),
        ({"modality_dropout": 0.5}, {}, {}),
        ({"modality_dropout": {"text": 0.1}}, {}, {}),
        ({"method__score": "negative_loss"}, {}, {}),
    ],
    ids=["sample_weight", "class_weight", "missing", "dropout", "dropout of one", "score"],
)
def test_a_criterion_of_whole_batches_cannot_tell_samples_apart(
    params, X, fit, given, how, fitted, no_training
):
    no_training()
    params = {"criterion": given, **params}
    if how == "first fit":
        case = Case("", TypeError, ("criterion=Focal", "reduction='none'"), params, fit=fit)
        return refuse_first_fit(case._replace(X=replaced(**X)))
    clf = pickle.loads(fitted[False])
    snapshot = Snapshot(clf, make_data())
    old = {name: clf.get_params(deep=False).get(name, "auto") for name in params}
    clf.set_params(**params)
    with pytest.raises(TypeError, match=r"criterion=Focal .*reduction='none'"):
        getattr(clf, how)({**make_data(), **X}, Y, **fit)
    clf.set_params(**old)
    snapshot.assert_unchanged(clf)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="device='cuda'"):
        MultimodalInfoRegClassifier(**SETTINGS, device="cuda").fit(make_data(), Y)


@pytest.mark.parametrize("classes", [[0, 1, 2, np.nan], [[0, 1, 2]]])
def test_bad_classes_in_partial_fit(classes):
    with pytest.raises(ValueError, match="classes"):
        MultimodalInfoRegClassifier(**SETTINGS).partial_fit(make_data(), Y, classes=classes)
