"""Pipelines and transformers of scikit-learn, and saving, with a `ModalityDict`."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import sklearn
from entry_points import (
    COLUMNS,
    PLAIN,
    TABLE,
    N,
    X,
    Y,
    close,
    entry_point,
    equal,
    folds,
    make,
    make_2d,
    probabilities_by_hand,
    scaled_by_hand,
)
from searches import near
from sklearn import compose, model_selection, pipeline
from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from inforeg_sk import ColumnsToModalities, ModalityDict, ModalityTransformer


@entry_point("pipeline.Pipeline")
def test_pipeline_scales_each_modality_by_its_training_rows():
    pipe = pipeline.Pipeline([("scale", ModalityTransformer(StandardScaler())), ("clf", make())])
    by_hand = make().fit(scaled_by_hand(), Y)
    equal(pipe.fit(X, Y).predict_proba(X), by_hand.predict_proba(scaled_by_hand()))
    assert pipe.score(X, Y) == by_hand.score(scaled_by_hand(), Y)
    equal(pipe.classes_, by_hand.classes_)
    # In cross-validation the scaler sees the training rows only.
    found = model_selection.cross_val_predict(pipe, X, Y, cv=3, method="predict_proba")
    for train, test in folds():
        scalers = {name: StandardScaler().fit(PLAIN[name][train]) for name in PLAIN}
        cut = [{n: scalers[n].transform(PLAIN[n][i]) for n in PLAIN} for i in (train, test)]
        equal(found[test], make().fit(cut[0], Y[train]).predict_proba(cut[1]))


_centred = []


def centre(data):
    """Subtract the means, and count the calls."""
    _centred.append(len(data))
    return ModalityDict({name: data[name] - data[name].mean(axis=0) for name in data})


@entry_point("pipeline.Pipeline", variant="memory")
def test_pipeline_takes_modalities_from_its_memory(tmp_path):
    def fit():
        steps = [("centre", FunctionTransformer(centre)), ("clf", make())]
        return pipeline.Pipeline(steps, memory=str(tmp_path / "cache")).fit(X, Y)

    _centred.clear()
    first = fit()
    assert _centred == [N]
    # A second, equal fit takes the transformed modalities from the cache.
    second = fit()
    assert _centred == [N]
    centred = {name: PLAIN[name] - PLAIN[name].mean(axis=0) for name in PLAIN}
    by_hand = make().fit(centred, Y).predict_proba(centred)
    equal(first.predict_proba(X), by_hand)
    equal(second.predict_proba(X), by_hand)


@entry_point("pipeline.Pipeline", variant="slice")
def test_slice_of_a_pipeline_gives_modalities_and_names():
    pipe = pipeline.make_pipeline(ModalityTransformer({"weak": PCA(2)}), make()).fit(X, Y)
    features = pipe[:-1].transform(X)
    assert features["weak"].shape == (N, 2)
    equal(features["strong"], PLAIN["strong"])
    names = pipe[:-1].get_feature_names_out()
    assert names[-1] == "weak__pca1" and len(names) == 8


@entry_point("pipeline.make_pipeline", takes="table")
def test_pipeline_cuts_a_table_into_modalities():
    # A table in, modalities within.
    raw = make(standardize=False)  # else a scaler in front would change nothing
    pipe = pipeline.make_pipeline(
        ColumnsToModalities(COLUMNS), ModalityTransformer(StandardScaler()), raw
    )
    by_hand = make(standardize=False).fit(scaled_by_hand(), Y).predict_proba(scaled_by_hand())
    equal(pipe.fit(TABLE, Y).predict_proba(TABLE), by_hand)
    pipe.set_params(modalitytransformer__transformers__with_std=False)
    assert abs(pipe.fit(TABLE, Y).predict_proba(TABLE) - by_hand).max() > 1e-3


@entry_point("pipeline.Pipeline.set_output")
def test_set_output_makes_each_modality_a_frame():
    pandas = pytest.importorskip("pandas")
    pipe = pipeline.make_pipeline(ModalityTransformer(StandardScaler()), make())
    pipe.set_output(transform="pandas").fit(X, Y)
    inner = pipe[:-1].transform(X)
    assert isinstance(inner, ModalityDict)
    for name in X:
        assert isinstance(inner[name], pandas.DataFrame)
        equal(inner[name].to_numpy(), scaled_by_hand()[name])
    by_hand = make().fit(scaled_by_hand(), Y)
    equal(pipe.predict_proba(X), by_hand.predict_proba(scaled_by_hand()))


@entry_point("set_config", variant="transform_output")
def test_transform_output_makes_each_modality_a_frame():
    pandas = pytest.importorskip("pandas")
    with sklearn.config_context(transform_output="pandas"):
        inner = ModalityTransformer(StandardScaler()).fit_transform(X)
    assert isinstance(inner["weak"], pandas.DataFrame)


@entry_point("preprocessing.FunctionTransformer")
def test_function_transformer_chooses_modalities():
    def only_strong(data):
        return ModalityDict({"strong": data["strong"]})

    pipe = pipeline.make_pipeline(FunctionTransformer(only_strong), make()).fit(X, Y)
    assert pipe[-1].modalities_ == ("strong",)
    strong = {"strong": PLAIN["strong"]}
    equal(pipe.predict_proba(X), make().fit(strong, Y).predict_proba(strong))
    assert FunctionTransformer().fit_transform(X) is X


@entry_point("pipeline.FeatureUnion", takes="table")
def test_feature_union_stacks_columns_before_they_are_cut():
    # On the table, before it is cut: a union stacks columns.
    union = pipeline.FeatureUnion([("scaled", StandardScaler()), ("pca", PCA(3))])
    columns = {"all": slice(0, 10), "pca": slice(10, 13)}
    pipe = pipeline.make_pipeline(union, make(modalities=columns)).fit(TABLE, Y)
    parts = {
        "all": StandardScaler().fit_transform(TABLE),
        "pca": PCA(3).fit_transform(TABLE),
    }
    assert pipe[-1].modalities_ == ("all", "pca")
    close(pipe.predict_proba(TABLE), make().fit(parts, Y).predict_proba(parts), atol=1e-6)


@entry_point("compose.ColumnTransformer", takes="table")
def test_column_transformer_prepares_the_columns_of_a_modality():
    columns = compose.ColumnTransformer(
        [("scaled", StandardScaler(), slice(0, 6)), ("rest", "passthrough", slice(6, None))]
    )
    pipe = pipeline.make_pipeline(columns, make_2d()).fit(TABLE, Y)
    parts = {"strong": scaled_by_hand()["strong"], "weak": PLAIN["weak"]}
    equal(pipe.predict_proba(TABLE), make().fit(parts, Y).predict_proba(parts))


@entry_point("compose.make_column_selector", takes="table")
def test_column_selector_cuts_a_frame_by_its_names():
    pandas = pytest.importorskip("pandas")
    names = [f"s{i}" for i in range(6)] + [f"w{i}" for i in range(4)]
    frame = pandas.DataFrame(TABLE, columns=names)
    clf = make(
        modalities={
            "strong": compose.make_column_selector(pattern="^s"),
            "weak": compose.make_column_selector(pattern="^w"),
        }
    )
    found = model_selection.cross_val_predict(clf, frame, Y, cv=3, method="predict_proba")
    near(found, probabilities_by_hand(make()))


# Saving


@pytest.mark.parametrize("how", ["pickle", "joblib", "joblib, mapped", "deepcopy"])
def test_saving(how, tmp_path):
    pipe = pipeline.make_pipeline(ModalityTransformer(StandardScaler()), make()).fit(X, Y)
    saved = (X, pipe)
    if how == "pickle":
        data, loaded = pickle.loads(pickle.dumps(saved))
    elif how == "deepcopy":
        data, loaded = copy.deepcopy(saved)
    else:
        joblib.dump(saved, tmp_path / "saved")
        mode = "r" if "mapped" in how else None
        data, loaded = joblib.load(tmp_path / "saved", mmap_mode=mode)
        assert isinstance(data["strong"], np.memmap) == (mode == "r")
    assert data == X
    equal(loaded.predict_proba(data), pipe.predict_proba(X))
    equal(loaded.fit(data, Y).predict_proba(data), pipe.predict_proba(X))
