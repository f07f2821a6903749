"""Panels have the features of each encoder; classes differ by colour and marker."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from inforeg_sk import MultimodalClassifier, MultimodalRegressor
from inforeg_sk.inspection import EmbeddingDisplay


def drawn(display, modality):
    """Points of all classes in the order of the samples of each."""
    points = display.points_[modality]
    return {label: part.get_offsets().data for label, part in points.items()}


def test_points_are_principal_components_of_the_features(fitted, data):
    X, y = data
    display = EmbeddingDisplay.from_estimator(fitted, X, y, method="pca")
    features = fitted.transform_by_modality(X)
    for name in ("strong", "weak"):
        expected = PCA(2).fit_transform(features[name].astype(float))
        for label, points in drawn(display, name).items():
            assert np.abs(points) == pytest.approx(np.abs(expected[y == label]), abs=1e-5)
    assert [ax.get_title() for ax in display.axes_] == ["strong (n = 120)", "weak (n = 120)"]
    assert display.ax_.get_xlabel() == "PCA 1"
    assert [text.get_text() for text in display.legend_.get_texts()] == ["0", "1", "2"]
    looks = [(tuple(p.get_facecolor()[0]), p.get_paths()[0].vertices.tobytes())
             for p in display.points_["weak"].values()]  # fmt: skip
    assert len({color for color, _ in looks}) == len({marker for _, marker in looks}) == 3


def test_t_sne_is_scikit_learns_and_repeatable(data):
    X, y = (part[:40] for part in data)
    X = {name: np.asarray(X[name]) for name in X}
    clf = MultimodalClassifier(max_epochs=1, random_state=0).fit(X, y)
    settings = {"modalities": ["weak"], "random_state": 3}
    display = EmbeddingDisplay.from_estimator(clf, X, y, **settings)
    again = EmbeddingDisplay.from_estimator(clf, X, y, **settings)
    assert np.array_equal(display.embedding["weak"], again.embedding["weak"])
    features = clf.transform_by_modality(X)["weak"].astype(float)
    assert features.shape[1] > 50
    seed = np.random.RandomState(3).randint(2**31 - 1)
    features = PCA(40, random_state=seed).fit_transform(features)
    expected = TSNE(2, perplexity=13, random_state=seed).fit_transform(features)
    assert display.embedding["weak"] == pytest.approx(expected, abs=1e-3)
    assert display.ax_.get_xlabel() == "t-SNE 1" and len(display.axes_) == 1


def test_a_choice_of_samples_is_the_same_for_all_modalities(fitted, data):
    display = EmbeddingDisplay.from_estimator(fitted, *data, method="pca", max_samples=30)
    assert [len(points) for points in display.embedding.values()] == [30, 30]
    assert np.array_equal(display.target["strong"], display.target["weak"])


def test_samples_without_the_modality_are_left_out(data):
    X, y = data
    X = {name: v.astype(float) for name, v in X.items()}
    X["weak"][:50] = np.nan
    clf = MultimodalClassifier(max_epochs=1, missing="allow", random_state=0).fit(X, y)
    display = EmbeddingDisplay.from_estimator(clf, X, y, method="pca")
    assert [len(display.target[name]) for name in ("strong", "weak")] == [120, 70]
    assert np.array_equal(display.target["weak"], y[50:])
    X["weak"][2:] = np.nan
    with pytest.raises(ValueError, match=r"at least 4 samples.*Got 0 of 'weak'"):
        EmbeddingDisplay.from_estimator(clf, X, y, method="pca")


def test_the_target_of_a_regressor_is_a_colour(data):
    X, _ = data
    y = X["weak"][:, 0]
    reg = MultimodalRegressor(max_epochs=1, random_state=0).fit(X, y)
    display = EmbeddingDisplay.from_estimator(reg, X, y, method="pca")
    for points in display.points_.values():
        assert points.get_array().data == pytest.approx(y)
        assert points.get_clim() == (y.min(), y.max())
    assert display.colorbar_ is not None and display.legend_ is None
    with pytest.raises(ValueError, match=r"give one output, such as y\[:, 0\]. Got \(120, 2\)"):
        EmbeddingDisplay.from_estimator(reg, X, np.c_[y, y])


def test_more_classes_than_colours_still_differ(plt):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(25), 2)
    display = EmbeddingDisplay({"a": rng.normal(size=(50, 2))}, {"a": labels}, classes=range(25))
    display.plot()
    looks = {(tuple(p.get_facecolor()[0]), p.get_paths()[0].vertices.tobytes())
             for p in display.points_["a"].values()}  # fmt: skip
    assert len(looks) == 25
    display.figure_.canvas.draw()
    legend, figure = display.legend_.get_window_extent(), display.figure_.bbox
    assert legend.x0 >= display.ax_.get_window_extent().x1
    assert legend.x1 <= figure.x1 and legend.y0 >= 0


def test_points_on_given_axes(plt, fitted, data):
    _, axes = plt.subplots(1, 2)
    display = EmbeddingDisplay.from_estimator(
        fitted, *data, method="pca", ax=axes, name="mine", legend=False, s=3
    )
    assert display.axes_ == list(axes) and plt.get_fignums() == [1]
    assert display.legend_ is None and display.ax_.get_title() == "mine\nstrong (n = 120)"
    assert {p.get_sizes()[0] for p in display.points_["weak"].values()} == {3}


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"method": "umap"}, "'method' parameter of EmbeddingDisplay.from_estimator must be"),
        ({"modalities": ["week"]}, "names 'week'.*did you mean 'weak'"),
        ({"modalities": "weak"}, "must be None or a list of names. Got 'weak'"),
        ({"max_samples": 2}, "'max_samples' parameter of EmbeddingDisplay.from_estimator"),
    ],
)
def test_bad_settings(fitted, data, plt, settings, match):
    with pytest.raises(ValueError, match=match):
        EmbeddingDisplay.from_estimator(fitted, *data, **settings)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    "parameters, match",
    [
        (({}, {}), "embedding must be a dict"),
        (({"a": [[0.0, 1.0]]}, {"b": [1]}), "target must be a dict with the modalities"),
        (({"a": [[0.0, 1.0]]}, {"a": [1, 2]}), r"Got \(1, 2\) and \(2,\)"),
    ],
)
def test_bad_points(plt, parameters, match):
    with pytest.raises(ValueError, match=match):
        EmbeddingDisplay(*parameters).plot()
    assert plt.get_fignums() == []
