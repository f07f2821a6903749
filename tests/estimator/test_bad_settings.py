"""Bad settings: refused before training, in words that name them, and the model stays."""

import pickle
from inspect import signature

import numpy as np
import pytest
import torch
from bad_cases import COUNT, NUMBER, words
from bad_input import SETTINGS, Case, N, Snapshot, Y, make_data, make_table, refuse_first_fit
from ids import stable_id
from skorch.dataset import ValidSplit
from torch import nn

from inforeg_sk import MultimodalClassifier, MultimodalInfoRegClassifier
from inforeg_sk.estimator.parameters import _ALIASES
from inforeg_sk.network import MLPEncoder

PARAMETERS = MultimodalClassifier().get_params(deep=False)


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
        ("learning_rate", "; it is called 'lr' here"),
        ("hidden_layer_sizes", "; it is called 'encoders__hidden' here"),
        ("weight_decay", "; it is called 'optimizer__weight_decay' here"),
        ("zzz", "; get_params() lists the parameters"),
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


@pytest.mark.parametrize("name", _ALIASES)
def test_other_libraries_names_are_told_apart_from_ours(name):
    with pytest.raises(TypeError, match=f"no parameter {name!r}; it is called"):
        MultimodalClassifier(**{name: 3})
    with pytest.raises(ValueError, match=f"Invalid parameter {name!r}.*; it is called"):
        MultimodalClassifier().set_params(**{name: 3})
    # What it is called exists, also where a part takes it.
    ours = _ALIASES[name].format(name)
    part, _, setting = ours.partition("__")
    takers = {"encoders": MLPEncoder, "optimizer": torch.optim.SGD}
    assert setting in signature(takers[part]).parameters if setting else ours in PARAMETERS


def test_a_name_that_a_method_has_too_is_told_with_both():
    with pytest.raises(TypeError, match="'optimizer__momentum' here, or 'method__momentum' of"):
        MultimodalClassifier("pmr", momentum=0.2)


@pytest.mark.parametrize("name", ["joint*", "inforeg*", "InfoReg*"])
def test_the_name_of_a_row_is_no_method_and_says_which_one_it_is(name, no_training):
    no_training()
    with pytest.raises(ValueError, match=r"name of a row.*method='inforeg'"):
        MultimodalClassifier(name).fit(make_data(), Y)


@pytest.mark.parametrize("name", ["alpa", "zzz", "methd__padding"])
def test_set_params_of_unknown_names(name, fitted, no_training):
    no_training()
    # Names with a prefix may come before what they belong to, so that fit has the last word.
    for clf in (MultimodalInfoRegClassifier(), pickle.loads(fitted[False])):
        with pytest.raises(ValueError, match=name):
            clf.set_params(**{name: 3}).fit(make_data(), Y)


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
    ids=stable_id,
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
    Case("lr 'x'", ValueError, words("lr", NUMBER, "x"), {"lr": "x"}),
    Case("lr None", ValueError, words("lr", NUMBER, None), {"lr": None}),
    Case("bool epochs", ValueError, words("max_epochs", COUNT, True), {"max_epochs": True}),
    Case("bool batch", ValueError, words("batch_size", COUNT, True), {"batch_size": True}),
    Case(
        "bool smoothing",
        ValueError,
        words("window_smoothing", COUNT, True),
        {"window_smoothing": True},
    ),
    Case(
        "device list",
        (TypeError, ValueError),
        words("device", "a name such as 'auto' or 'cpu'", ["cpu"]),
        {"device": ["cpu"]},
    ),
    Case(
        "optimizer",
        (TypeError, ValueError),
        words("optimizer", "a torch optimizer class", None),
        {"optimizer": None},
    ),
    Case(
        "callbacks",
        (TypeError, ValueError),
        words("callbacks", "None or 'disable' or a list", "x"),
        {"callbacks": "x"},
    ),
    Case(
        "split",
        (TypeError, ValueError),
        words("train_split", "None or a callable", 3),
        {"train_split": 3},
    ),
    Case(
        "smoothing",
        ValueError,
        ("'criterion__label_smoothing' parameter of ", "must be a float in [0, 1]. Got 2."),
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
    Case("no dtype", ValueError, ("'dtype' parameter", "Got None."), {"dtype": None}),
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


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match=r"'device' parameter .* no CUDA device.* Got 'cuda'"):
        MultimodalInfoRegClassifier(**SETTINGS, device="cuda").fit(make_data(), Y)
