"""Lines and heat maps are the numbers of a search, with all else as in the best candidate."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV

from inforeg_sk import MultimodalInfoRegClassifier
from inforeg_sk.inspection import SensitivityDisplay
from inforeg_sk.model_selection import MultimodalInfoRegClassifierCV

A, K = [0.1, 1.0, 10.0], [1, 2]


def results(grid, mean, **more):
    """What a search has in `cv_results_`, of all combinations in order."""
    names = list(grid)
    index = np.indices([len(grid[name]) for name in names]).reshape(len(names), -1).T
    params = [{n: grid[n][i] for n, i in zip(names, row, strict=True)} for row in index]
    mean = np.asarray(mean, float)
    found = {"params": params, "mean_test_score": mean, "std_test_score": mean / 10}
    return {**found, "split0_test_score": mean, "split1_test_score": mean, **more}


def test_one_parameter_is_a_line_with_a_band():
    found = results({"method__alpha": A}, [0.5, 0.75, 0.25])
    display = SensitivityDisplay.from_cv_results(found, score_name="accuracy", n_samples=1500)
    line = display.lines_[None]
    assert line.get_xdata().tolist() == A and line.get_ydata().tolist() == [50, 75, 25]
    (path,) = display.bands_[None].get_paths()
    top = [path.vertices[path.vertices[:, 0] == a, 1].max() for a in A]
    assert top == pytest.approx([55, 82.5, 27.5])
    assert display.best_.get_xdata().tolist() == [1.0]
    assert display.best_.get_ydata().tolist() == [75]
    ax = display.ax_
    assert (ax.get_xlabel(), ax.get_xscale()) == ("alpha", "log")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.1", "1", "10"]
    assert ax.get_ylabel() == "accuracy (%)\nmean ± sd over 2 folds, n = 1,500"
    assert ax.get_title() == ""


def test_two_parameters_are_a_heat_map_with_its_numbers():
    mean = [1.0, 2.0, 3.0, 4.0, 6.0, 5.0]  # of alpha, then K
    display = SensitivityDisplay.from_cv_results(results({"a": A, "k": K}, mean))
    assert display.image_.get_array().tolist() == [[1, 3, 6], [2, 4, 5]]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("a", "k")
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["1", "2"]
    assert display.texts_[0, 2].get_text() == "6.000\n± 0.600"
    assert display.best_.get_xy() == pytest.approx((1.54, -0.46))
    assert display.texts_[0, 0].get_color() == "white"  # on black
    assert display.texts_[0, 2].get_color() == "black"
    assert display.colorbar_.ax.get_ylabel() == "score\nmean ± sd over 2 folds"


def test_two_parameters_as_lines():
    found = results({"a": A, "k": K}, [1, 2, 3, 4, 6, 5])
    display = SensitivityDisplay.from_cv_results(found, params=["a", "k"], kind="lines")
    assert {k: line.get_ydata().tolist() for k, line in display.lines_.items()} == {
        1: [1, 3, 6],
        2: [2, 4, 5],
    }
    lines = display.lines_.values()
    assert len({line.get_linestyle() for line in lines}) == 2
    assert len({line.get_marker() for line in lines}) == 2
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["k = 1", "k = 2", "best"]


def test_other_parameters_are_held_at_the_best_candidate():
    found = results({"a": A, "k": K}, [1, 2, 3, 4, 6, 5])
    display = SensitivityDisplay.from_cv_results(found, params="a")
    assert display.lines_[None].get_ydata().tolist() == [1, 3, 6]  # of k = 1
    assert display.ax_.get_title() == "k = 1"
    assert SensitivityDisplay.from_cv_results(found, params="a", name="mine").ax_.get_title() == (
        "mine"
    )
    as_table = pd.DataFrame(found)
    display = SensitivityDisplay.from_cv_results(as_table, params="k")
    assert display.lines_[None].get_ydata().tolist() == [6, 5]


@pytest.mark.parametrize(
    "values, scale",
    [
        ([0.01, 0.02, 0.04, 0.08], "log"),
        ([1, 3, 10, 30], "log"),
        ([10, 1], "log"),
        ([1, 2, 3, 4], "linear"),
        ([-1.0, 0.0, 1.0], "linear"),
        ([0, 0.1, 1, 10], "symlog"),
        ([0.0, 1.0, 2.0, 3.0], "linear"),
    ],
)
def test_geometric_grids_have_a_logarithmic_axis(values, scale):
    display = SensitivityDisplay({"a": values}, np.arange(len(values))).plot()
    assert display.ax_.get_xscale() == scale
    assert display.lines_[None].get_xdata().tolist() == sorted(values)


def test_values_that_are_no_numbers_stand_in_their_order():
    found = results({"method": ["ogm-ge", "joint", None]}, [1, 3, 2])
    display = SensitivityDisplay.from_cv_results(found)
    labels = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert labels == ["ogm-ge", "joint", "None"]
    assert display.lines_[None].get_ydata().tolist() == [1, 3, 2]
    found = results({"k": [True, False], "a": [-np.inf, 0.1]}, [1, 2, 3, 4])
    display = SensitivityDisplay.from_cv_results(found)
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["True", "False"]
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["-inf", "0.1"]


def test_searches_name_their_score():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), np.arange(40) % 2
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2).fit(X, y)
    display = SensitivityDisplay.from_estimator(search)
    expected = (100 * search.cv_results_["mean_test_score"]).tolist()
    assert display.lines_[None].get_ydata().tolist() == expected
    assert display.ax_.get_ylabel() == "accuracy (%)\nmean ± sd over 2 folds"
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1]}, cv=2).fit(X, y)
    assert SensitivityDisplay.from_estimator(search).ax_.get_ylabel().startswith("R²\n")
    search.set_params(scoring="neg_mean_squared_error").fit(X, y)
    label = SensitivityDisplay.from_estimator(search).ax_.get_ylabel()
    assert label.startswith("neg mean squared error\n")
    both = GridSearchCV(
        Ridge(), {"alpha": [0.1, 1]}, cv=2, scoring=["r2", "neg_max_error"], refit=False
    ).fit(X, y)
    with pytest.raises(ValueError, match=r"must be one of 'r2', 'neg_max_error'. Got None"):
        SensitivityDisplay.from_estimator(both)
    display = SensitivityDisplay.from_estimator(both, metric="neg_max_error")
    expected = both.cv_results_["mean_test_neg_max_error"].tolist()
    assert display.lines_[None].get_ydata().tolist() == expected


def test_estimators_that_choose_their_strength(data):
    clf = MultimodalInfoRegClassifier(max_epochs=1, random_state=0)
    chosen = MultimodalInfoRegClassifierCV(clf, alphas=[0.1, 1.0], cv=2).fit(*data)
    display = SensitivityDisplay.from_estimator(chosen, params="alpha")
    assert display.lines_[None].get_xdata().tolist() == [0.1, 1.0]


def test_on_given_axes_with_style(plt):
    _, ax = plt.subplots()
    display = SensitivityDisplay({"a": A}, [1, 2, 3]).plot(ax, linewidth=4, legend=False)
    assert display.ax_ is ax and ax.get_legend() is None and plt.get_fignums() == [1]
    assert display.lines_[None].get_linewidth() == 4 and display.bands_ == {}


def test_candidates_without_a_score_are_hatched():
    display = SensitivityDisplay({"a": A * 2, "k": [1] * 3 + [2] * 3}, [1, 2, 3, 4, 5, np.nan])
    display.plot()
    assert (1, 2) not in display.texts_ and len(display.texts_) == 5


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"params": "alhpa"}, "names 'alhpa'; the search is over 'alpha', 'k', 'lr'.*'alpha'"),
        ({}, "The search is over 'alpha', 'k', 'lr': name one or two"),
        ({"params": ["alpha", "k", "lr"]}, "must name one parameter or two"),
        ({"params": "alpha", "metric": "f1"}, "'metric' parameter must be one of 'score'"),
        ({"params": "alpha", "kind": "heatmap"}, "needs two params. Got one"),
        ({"params": "alpha", "kind": "bars"}, "'kind' parameter of SensitivityDisplay.plot must"),
    ],
)
def test_bad_choices(plt, settings, match):
    found = results({"alpha": A, "k": K, "lr": [1, 2]}, np.arange(12))
    with pytest.raises(ValueError, match=match):
        SensitivityDisplay.from_cv_results(found, **settings)
    assert plt.get_fignums() == []


def test_candidates_that_make_no_grid():
    rng = np.random.default_rng(0)
    params = [{"a": rng.random(), "k": rng.random()} for _ in range(5)]
    found = {**results({"a": range(5)}, np.arange(5)), "params": params}
    with pytest.raises(ValueError, match="make no grid of 5 by 5"):
        SensitivityDisplay.from_cv_results(found)
    with pytest.raises(ValueError, match="one value of 'a' only"):
        SensitivityDisplay.from_cv_results(found, params="a")
    with pytest.raises(ValueError, match="all fits failed"):
        SensitivityDisplay.from_cv_results(results({"a": A}, [np.nan] * 3))


def test_what_is_no_search(fitted):
    with pytest.raises(TypeError, match=r"fitted search with cv_results_.*got MultimodalClass"):
        SensitivityDisplay.from_estimator(fitted)
    with pytest.raises(ValueError, match="it has no mean_test_score"):
        SensitivityDisplay.from_cv_results({"params": []})
    with pytest.raises(ValueError, match=r"one value per candidate. Got 1, 2"):
        SensitivityDisplay({"a": [1]}, [1, 2]).plot()
