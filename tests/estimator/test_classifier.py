"""The estimators as a user meets them: inputs, labels, parameters, predictions, presets."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from ids import stable_id
from scipy import sparse
from searches import near
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV

import inforeg_sk
from inforeg_sk import (
    InfoReg,
    Joint,
    ModalityDict,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    presets,
)
from inforeg_sk.network import MLPEncoder


def make(**kwargs):
    return MultimodalInfoRegClassifier(**{"max_epochs": 3, "random_state": 0, **kwargs})


def test_public_names():
    assert set(inforeg_sk.__all__) <= set(dir(inforeg_sk))
    assert inforeg_sk.__version__.count(".") == 2


def test_dict_and_container_are_the_same(trimodal):
    X, y = trimodal
    first, second = make().fit(X, y), make().fit(ModalityDict(X), y)
    assert np.array_equal(first.predict_proba(X), second.predict_proba(ModalityDict(X)))
    assert first.modalities_ == tuple(X) == ("text", "audio", "video")
    assert isinstance(first.encoders_["audio"], MLPEncoder)
    assert not hasattr(first, "n_features_in_")


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int64, np.uint8, bool])
def test_numeric_types_become_the_networks(trimodal, kind):
    X, y = trimodal
    X = {name: (values > 0).astype(kind) for name, values in X.items()}
    expected = make().fit({n: v.astype(np.float32) for n, v in X.items()}, y)
    clf = make().fit(X, y)
    assert np.array_equal(clf.predict_proba(X), expected.predict_proba(X))
    assert {p.dtype for p in clf.module_.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "c"],
        [10, 30, 20],
        [-1, 0, 1],
        [0.0, 1.0, 2.0],
        np.array(["x", "y", "z"], dtype=object),
    ],
    ids=stable_id,
)
def test_any_labels(trimodal, labels):
    X, y = trimodal
    y = np.asarray(labels)[np.unique(y, return_inverse=True)[1]]
    clf = make(lr=0.02, max_epochs=20).fit(X, y)
    assert clf.classes_.tolist() == sorted(labels)
    predicted = clf.predict(X)
    assert predicted.dtype == clf.classes_.dtype and set(predicted) <= set(labels)
    assert clf.score(X, y) == accuracy_score(y, predicted) > 0.6
    best = clf.predict_proba(X).argmax(axis=1)
    assert np.array_equal(clf.classes_[best], predicted)


def test_two_classes_and_bool_labels(trimodal):
    X, y = trimodal
    clf = make().fit(X, y == "joy")
    assert clf.predict_proba(X).shape == (90, 2) and clf.predict(X).dtype == bool


def test_one_table_cut_by_the_classifier(trimodal):
    X, y = trimodal
    table = np.hstack([X["text"], X["video"]])
    frame = pd.DataFrame(table, columns=[f"t{i}" for i in range(6)] + ["v0", "v1", "v2"])
    expected = make().fit({"text": X["text"], "video": X["video"]}, y)
    wanted = expected.predict_proba({"text": X["text"], "video": X["video"]})
    by_slice = make(modalities={"text": slice(0, 6), "video": [6, 7, 8]}).fit(table, y)
    near(by_slice.predict_proba(table), wanted)
    assert by_slice.n_features_in_ == 9
    by_name = make(modalities={"text": slice("t0", "t5"), "video": ["v0", "v1", "v2"]})
    by_name.fit(frame, y)
    near(by_name.predict_proba(frame), wanted)
    assert by_name.feature_names_in_.tolist() == frame.columns.tolist()
    single = make().fit(table, y)
    assert single.modalities_ == ("X",)
    assert (single.curves_["coefficient"]["X"] == 0).all()
    # A second fit on a mapping forgets the table.
    by_name.set_params(modalities=None).fit(X, y)
    assert not hasattr(by_name, "feature_names_in_")


def test_each_modality_by_itself(trimodal):
    X, y = trimodal
    clf = make(max_epochs=15, lr=0.02, unimodal_weight=1).fit(X, y)
    probabilities = clf.predict_proba_by_modality(X)
    scores = clf.score_by_modality(X, y)
    features = clf.transform_by_modality(X)
    assert sorted(probabilities) == sorted(scores) == sorted(features) == sorted(X)
    weight, bias = (p.detach().double().numpy() for p in clf.head_.parameters())
    start = 0
    for name in sorted(X):
        width = features[name].shape[1]
        logits = features[name].astype(float) @ weight[:, start : start + width].T + bias / 3
        start += width
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected = shifted / shifted.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probabilities[name], expected, rtol=1e-4, atol=1e-6)
        alone = clf.classes_[expected.argmax(axis=1)]
        assert scores[name] == pytest.approx(accuracy_score(y, alone))
    doubled = clf.score_by_modality(X, y, sample_weight=np.full(len(y), 2.0))
    assert doubled == pytest.approx(scores)


def test_batch_size_does_not_change_predictions(trimodal):
    X, y = trimodal
    clf = make().fit(X, y)
    whole = clf.predict_proba(X)
    np.testing.assert_allclose(clf.set_params(batch_size=7).predict_proba(X), whole, rtol=1e-5)


# Parameters


def test_parameters_are_stored_untouched_and_cloned():
    alpha, encoders = {"text": 1.0}, {"text": MLPEncoder}
    clf = make(alpha=alpha, encoders=encoders, method__score="probability_sum", device="auto")
    assert clf.get_params()["alpha"] is alpha and clf.get_params()["encoders"] is encoders
    assert clf.get_params()["device"] == "auto" and clf.device.type in ("cpu", "cuda", "mps")
    twin = clone(clf)
    assert twin.get_params(deep=False).keys() == clf.get_params(deep=False).keys()
    assert twin.get_params()["method__score"] == "probability_sum"
    assert "alpha={'text': 1.0}" in repr(clf) and "lr" not in repr(clf)
    assert clf._repr_html_()


def test_misspelt_names_suggest_the_nearest(trimodal):
    with pytest.raises(TypeError, match="no parameter 'aplha'; did you mean 'alpha'"):
        MultimodalInfoRegClassifier(aplha=1)
    with pytest.raises(TypeError, match=r"'optimiser__lr'; did you mean 'optimizer__\.\.\.'"):
        MultimodalInfoRegClassifier(optimiser__lr=1)
    with pytest.raises(TypeError, match="'method__score' is a setting of the method 'inforeg'"):
        MultimodalInfoRegClassifier(score="probability_sum")
    which = "'method__alpha' is a setting of the methods 'inforeg', 'ogm-ge', .* and 'opm'"
    with pytest.raises(TypeError, match=f"has no parameter 'alpha': {which}"):
        MultimodalClassifier(alpha=0)
    with pytest.raises(ValueError, match=f"the method 'joint' takes no settings; {which}"):
        MultimodalClassifier(method__alpha=0).fit(*trimodal)
    with pytest.raises(ValueError, match="Invalid parameter 'aplha'"):
        MultimodalInfoRegClassifier().set_params(aplha=1)
    with pytest.raises(ValueError, match=r"Invalid parameter 'fusionn'.*did you mean 'fusion'"):
        MultimodalInfoRegClassifier().set_params(fusionn="sum")


def test_set_params_after_fit_leaves_the_model_alone(trimodal):
    X, y = trimodal
    clf = make().fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(encoders__hidden=8, method__score="probability_sum", alpha=9.0, fusion="concat")
    assert np.array_equal(clf.predict_proba(X), before)
    clf.fit(X, y)
    assert clf.head_.in_features == 24 and clf.method_.score == "probability_sum"


@pytest.mark.parametrize(
    "fusions, settings",
    [(["gated", "film"], {"fusion__conditioning": "text"}), (["sum"], {"fusion__width": 3})],
)
def test_nested_settings_stay_when_their_part_is_replaced(trimodal, fusions, settings):
    X, y = trimodal
    clf = make(max_epochs=1, **settings)
    search = GridSearchCV(clf, {"fusion": fusions}, cv=2, error_score="raise")
    best = search.fit(ModalityDict(X), y).best_estimator_
    assert {key: best.get_params()[key] for key in settings} == settings
    with pytest.raises(ValueError, match=r"fusion__\w+: the fusion Concat takes no settings"):
        best.set_params(fusion="concat").fit(X, y)


def test_nested_settings_are_searched(trimodal):
    X, y = trimodal
    grid = {
        "method__score": ["log_probability", "probability_sum"],
        "encoders__text__hidden": [4, (8, 4)],
        "optimizer__weight_decay": [0.0, 0.1],
        "batch_size": [16, 64],
    }
    search = GridSearchCV(make(max_epochs=1), grid, cv=2, error_score="raise")
    search.fit(ModalityDict(X), y)
    assert len(search.cv_results_["params"]) == 16
    model = GridSearchCV(
        MultimodalClassifier(InfoReg(), max_epochs=1, random_state=0),
        {"method": ["joint", Joint, InfoReg(alpha=2.0)]},
        cv=2,
        error_score="raise",
    ).fit(ModalityDict(X), y)
    assert len(model.cv_results_["params"]) == 3


def test_the_users_method_instance_is_not_touched(trimodal):
    X, y = trimodal
    method = InfoReg(alpha=2.0, window_threshold=-1e9)
    clf = MultimodalClassifier(method, method__beta=0.1, max_epochs=4, random_state=0).fit(X, y)
    assert vars(method) == vars(InfoReg(alpha=2.0, window_threshold=-1e9))
    assert clf.method_.beta == 0.1 and clf.method_ is not method


@pytest.mark.parametrize("preset", [presets.PAPER, presets.PAPER_STAR])
def test_presets_splat_into_both(trimodal, preset):
    X, y = trimodal
    flat = make(**preset).fit(X, y)
    general = MultimodalClassifier("inforeg", max_epochs=3, random_state=0, **preset).fit(X, y)
    method = InfoReg(**presets.method_settings(preset))
    network = {"prior_offset": False, "standardize": False}
    held = MultimodalClassifier(method, **network, max_epochs=3, random_state=0).fit(X, y)
    assert flat.method_.pull == held.method_.pull == "gradient"
    assert np.array_equal(flat.predict_proba(X), held.predict_proba(X))
    assert np.array_equal(flat.predict_proba(X), general.predict_proba(X))
    assert flat.module_.log_prior is None and not flat.module_.scalers


def test_presets_leave_no_setting_of_the_method_to_its_defaults():
    flat = set(MultimodalInfoRegClassifier().get_params()) & set(InfoReg().get_params())
    for preset in (presets.PAPER, presets.PAPER_STAR):
        assert set(presets.method_settings(preset)) == flat
    code = presets.authors_code("audio", {"audio": 0.95, "video": 0.1})
    assert set(presets.method_settings(code)) == set(InfoReg().get_params())
    assert code["method__leader"] == "audio"
    assert {p["prior_offset"] for p in (presets.PAPER, presets.PAPER_STAR, code)} == {False}


def test_a_setting_given_in_both_ways_is_refused(trimodal):
    message = "got both alpha=0.5 and method__alpha=1.0, which are the same setting"
    with pytest.raises(ValueError, match=f"MultimodalInfoRegClassifier {message}"):
        make(alpha=0.5, **presets.PAPER).fit(*trimodal)


def test_alpha_by_modality_leaves_the_others_alone(trimodal):
    X, y = trimodal
    clf = make(alpha={"audio": 2.0}, window_threshold=-1e9, max_epochs=6).fit(X, y)
    assert (clf.curves_["coefficient"]["text"] == 0).all() and (
        clf.curves_["coefficient"]["video"] == 0
    ).all()


def test_settings_given_after_a_fit_count_at_the_next(trimodal):
    X, y = trimodal
    later = {
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.5,
        "lr": 0.05,
        "criterion__label_smoothing": 0.2,
        "iterator_train__drop_last": True,
        "encoders__hidden": 8,
    }
    clf = make().fit(X, y)
    clf.set_params(**later).fit(X, y)
    fresh = make(**later).fit(X, y)
    assert np.array_equal(clf.predict_proba(X), fresh.predict_proba(X))
    assert clf.optimizer_.param_groups[0]["momentum"] == 0.5
    assert {k: clf.get_params()[k] for k in later} == later


@pytest.mark.parametrize("settings", [{}, {"modality_dropout": 0.3}, {"encoders__dropout": 0.3}])
def test_a_fit_draws_three_numbers(trimodal, settings):
    X, y = trimodal
    given, fresh = np.random.RandomState(5), np.random.RandomState(5)
    clf = make(random_state=given, max_epochs=1, **settings)
    for _ in range(2):
        clf.fit(X, y)
        fresh.randint(2**31 - 1, size=3)
        assert all(map(np.array_equal, given.get_state(), fresh.get_state()))
    clf.partial_fit(X, y)
    assert given.randint(2**31 - 1) == fresh.randint(2**31 - 1)


class Renamed(MultimodalInfoRegClassifier):
    pass


@pytest.mark.parametrize("cls", [MultimodalInfoRegClassifier, Renamed])
@pytest.mark.parametrize("method", ["joint", Joint, InfoReg()])
def test_another_method_is_for_the_general_classifier(trimodal, cls, method):
    words = (
        rf"'method' parameter of {cls.__name__} must be the class InfoReg or a subclass.*"
        rf"MultimodalClassifier\(method=.*Got {re.escape(repr(method))}"
    )
    with pytest.raises(TypeError, match=words):
        cls(method=method).fit(*trimodal)


# Sparse modalities

KINDS = [
    sparse.csr_array,
    sparse.csr_matrix,
    sparse.csc_matrix,
    sparse.coo_array,
    sparse.dok_matrix,
    sparse.lil_array,
    sparse.bsr_array,
]


def counted(dtype=np.float64):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60)
    counts = rng.poisson(np.where(np.arange(9) % 3 == y[:, None], 1.5, 0.3)).astype(dtype)
    counts[7] = 0
    return {"words": counts, "video": rng.normal(size=(60, 4)) + y[:, None]}, y


def same_answers(clf, given, reference, dense, y):
    assert np.array_equal(clf.predict_proba(given), reference.predict_proba(dense))
    for method in ("transform_by_modality", "predict_proba_by_modality"):
        got, expected = getattr(clf, method)(given), getattr(reference, method)(dense)
        assert all(np.array_equal(got[name], expected[name]) for name in dense)
    assert clf.score_by_modality(given, y) == reference.score_by_modality(dense, y)
    assert all(
        map(
            np.array_equal,
            clf.curves_["fisher_trace"].values(),
            reference.curves_["fisher_trace"].values(),
        )
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, bool])
def test_sparse_is_dense(kind, dtype):
    dense, y = counted(dtype)
    words = kind(dense["words"])
    given, before = {**dense, "words": words}, words.toarray()
    # Standardized, sparse matrices would only be scaled, not centered.
    settings = {"batch_size": 16, "window_threshold": -1e9, "standardize": False}
    reference, clf = make(**settings).fit(dense, y), make(**settings).fit(given, y)
    same_answers(clf, given, reference, dense, y)
    reference.partial_fit(dense, y), clf.partial_fit(given, y)
    same_answers(clf, given, reference, dense, y)
    # A model of either takes the other.
    same_answers(clf, dense, reference, dense, y)
    assert given["words"] is words and type(words) is kind
    assert words.dtype == dtype and np.array_equal(words.toarray(), before)


def test_entries_of_a_sparse_matrix_that_stand_twice_add_up():
    dense, y = counted()
    rows, columns = dense["words"].nonzero()
    half = dense["words"][rows, columns] / 2
    twice = [np.r_[half, half], (np.r_[rows, rows], np.r_[columns, columns])]
    words = sparse.coo_array(tuple(twice), shape=dense["words"].shape)
    given = {**dense, "words": words}
    clf, reference = (make(standardize=False).fit(X, y) for X in (given, dense))
    same_answers(clf, given, reference, dense, y)


def test_counts_of_words():
    _, y = counted()
    texts = [
        " ".join(["red", "green", "blue"][label] for _ in range(i % 3 + 1)) + " sky"
        for i, label in enumerate(y)
    ]
    words = CountVectorizer().fit_transform(texts)
    assert words.dtype == np.int64 and sparse.issparse(words)
    clf = make(max_epochs=20, lr=0.02).fit({"words": words}, y)
    assert clf.score({"words": words}, y) == 1
    whole = clf.predict_proba({"words": words.toarray()})
    assert np.array_equal(clf.predict_proba({"words": words}), whole)
    np.testing.assert_allclose(clf.predict_proba({"words": words[:1]}), whole[:1], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_over_sparse_modalities(kind):
    dense, y = counted()
    results = []
    for words in (dense["words"], kind(dense["words"])):
        X = ModalityDict({**dense, "words": words})
        search = GridSearchCV(
            make(max_epochs=1, standardize=False),
            {"lr": [1e-3, 1e-1]},
            cv=2,
            n_jobs=1,
            error_score="raise",
        ).fit(X, y)
        scores = [search.cv_results_[f"split{i}_test_score"].tolist() for i in (0, 1)]
        results.append((scores, search.predict(X).tolist()))
    assert results[0] == results[1]


# Copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_predict_the_same(trimodal, copied):
    X, y = trimodal
    clf = make(device="auto").fit(X, y)
    twin = copied(clf)
    assert np.array_equal(twin.predict_proba(X), clf.predict_proba(X))
    assert twin.get_params()["device"] == "auto"
    assert np.array_equal(twin.curves_["fisher_trace"]["text"], clf.curves_["fisher_trace"]["text"])
    unfitted = copied(make())
    assert np.array_equal(unfitted.fit(X, y).predict_proba(X), clf.predict_proba(X))


def test_the_users_data_are_not_touched(trimodal):
    X, y = trimodal
    before = {name: values.copy() for name, values in X.items()}
    for values in X.values():
        values.setflags(write=False)  # as joblib hands them to a worker
    make().fit(X, y).predict(X)
    assert all(np.array_equal(X[name], before[name]) for name in X)
