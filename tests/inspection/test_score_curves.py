"""Curves of scores are what the callback recorded; several fits are mean and band."""

import numpy as np
import pytest
from skorch.dataset import ValidSplit

from inforeg_sk import MultimodalClassifier, MultimodalRegressor
from inforeg_sk.callbacks import ScoreByModality
from inforeg_sk.inspection import ScoreByModalityDisplay


def fit(data, cls=MultimodalClassifier, *, seed=0, epochs=3, split="third", **settings):
    callbacks = [("scores", ScoreByModality(**settings))]
    split = ValidSplit(3) if split == "third" else split
    params = {"max_epochs": epochs, "random_state": seed, "train_split": split}
    return cls(**params, callbacks=callbacks).fit(*data)


@pytest.fixture(scope="module")
def recorded(data):
    return [fit(data, seed=seed, epochs=3 + seed, joint=True) for seed in range(2)]


def test_lines_are_the_recorded_scores_in_percent(recorded):
    clf = recorded[0]
    display = ScoreByModalityDisplay.from_estimator(clf, chance=1 / 3, name="mine")
    curve = clf.curves_["valid_acc"]
    assert list(display.lines_) == ["all", "strong", "weak"]
    for name, line in display.lines_.items():
        assert line.get_xdata().tolist() == [0, 1, 2]
        assert line.get_ydata() == pytest.approx(100 * curve[name])
    assert curve["all"].tolist() == clf.history_[:, "valid_acc"]  # skorch's own
    assert display.chance_line_.get_ydata() == pytest.approx([100 / 3] * 2)
    assert display.ax_.get_title() == "mine" and display.bands_ == {}
    # A third of 120 samples is held out.
    assert display.ax_.get_ylabel() == "accuracy (%)\nheld-out samples, n = 40"


def test_several_fits_are_mean_and_band_of_the_epochs_that_all_have(recorded):
    display = ScoreByModalityDisplay.from_estimator(recorded)
    both = [clf.curves_["valid_acc"]["weak"][:3] for clf in recorded]
    assert display.lines_["weak"].get_ydata() == pytest.approx(50 * (both[0] + both[1]))
    (path,) = display.bands_["weak"].get_paths()
    half = 100 * np.abs(both[0] - both[1]) / np.sqrt(2)  # the sample sd of two numbers
    top = [path.vertices[path.vertices[:, 0] == i, 1].max() for i in range(3)]
    assert top == pytest.approx(50 * (both[0] + both[1]) + half)
    assert display.ax_.get_ylabel().endswith("mean ± sd of 2 fits")


def test_lines_differ_in_style_and_marker(recorded):
    lines = ScoreByModalityDisplay.from_estimator(recorded[0]).lines_.values()
    assert len({(line.get_linestyle(), line.get_linewidth()) for line in lines}) == 3
    assert len({line.get_marker() for line in lines}) == 3


def test_joint_accuracy_on_held_out_samples_is_known_to_skorch(data):
    clf = fit(data)
    display = ScoreByModalityDisplay.from_estimator(clf)
    assert display.scores["all"][0].tolist() == clf.history_[:, "valid_acc"]
    on_train = fit(data, split=None)
    assert list(ScoreByModalityDisplay.from_estimator(on_train).lines_) == ["strong", "weak"]


def test_regressors_and_other_scorers_are_not_in_percent(data):
    X, _ = data
    reg = fit((X, X["weak"][:, 0]), MultimodalRegressor, split=None, joint=True)
    display = ScoreByModalityDisplay.from_estimator(reg)
    assert display.ax_.get_ylabel() == f"R²\ntraining samples, n = {len(X['weak'])}"
    for name, line in display.lines_.items():
        assert line.get_ydata().tolist() == reg.curves_["train_r2"][name].tolist()
    clf = fit(data, scoring="neg_log_loss")
    display = ScoreByModalityDisplay.from_estimator(clf)
    assert display.ax_.get_ylabel().startswith("neg log loss\n")
    drawn = display.lines_["weak"].get_ydata().tolist()
    assert drawn == clf.curves_["valid_neg_log_loss"]["weak"].tolist()


def test_one_modality_on_given_axes_with_style(plt):
    _, ax = plt.subplots()
    display = ScoreByModalityDisplay({"X": [0.1, 0.2]}).plot(ax, linewidth=5, legend=False)
    assert display.ax_ is ax and ax.get_legend() is None and len(plt.get_fignums()) == 1
    assert display.lines_["X"].get_linewidth() == 5
    assert display.lines_["X"].get_ydata().tolist() == [0.1, 0.2]  # "score" is of no known unit


def test_what_was_not_recorded(fitted, recorded, data):
    with pytest.raises(ValueError, match=r"recorded no scores by modality.*ScoreByModality\(\)"):
        ScoreByModalityDisplay.from_estimator(fitted)
    with pytest.raises(ValueError, match="recorded no curve 'valid_f1'"):
        ScoreByModalityDisplay.from_estimator(recorded[0], curve="valid_f1")
    with pytest.raises(ValueError, match=r"different curves: 'valid_acc'.*'train_acc'"):
        ScoreByModalityDisplay.from_estimator([recorded[0], fit(data, split=None)])
    with pytest.raises(ValueError, match="empty list"):
        ScoreByModalityDisplay.from_estimator([])


@pytest.mark.parametrize("scores", [{}, [0.5], {"a": [0.5], "b": [0.5, 0.6]}, {"a": []}])
def test_bad_scores(plt, scores):
    with pytest.raises(ValueError, match="scores"):
        ScoreByModalityDisplay(scores).plot()
    assert plt.get_fignums() == []
