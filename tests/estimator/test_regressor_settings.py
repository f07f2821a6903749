"""The regressors as a user meets them: criteria, refusals, scikit-learn's tools, going on."""

import pickle
import re

import numpy as np
import pytest
from regression import BOTH, CRITERIA, bits, make, make_data
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch.callbacks import Callback, EarlyStopping, EpochScoring
from skorch.dataset import ValidSplit
from torch import nn

from inforeg_sk import (
    InfoReg,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalRegressor,
)


@pytest.fixture
def data():
    return make_data()


class TestCriteria:
    @pytest.mark.parametrize("criterion", CRITERIA)
    @pytest.mark.parametrize("cls", BOTH)
    def test_each_learns(self, data, criterion, cls):
        X, y = data
        assert make(cls, criterion=criterion, max_epochs=40).fit(X, y).score(X, y) > 0.7

    def test_settings_reach_it(self, data):
        X, y = data
        huber = make(criterion=nn.HuberLoss, criterion__delta=0.1).fit(X, y)
        assert bits(huber) != bits(make(criterion=nn.HuberLoss).fit(X, y))
        # With a delta beyond every error it is half the squared error.
        wide = make(criterion=nn.HuberLoss, criterion__delta=1e3, lr=0.0).fit(X, y)
        squared = make(lr=0.0).fit(X, y)
        for name in X:
            np.testing.assert_allclose(
                2 * wide.curves_["performance_score"][name],
                squared.curves_["performance_score"][name],
                rtol=1e-5,
            )

    def test_a_subclass(self, data):
        X, y = data

        class Half(nn.MSELoss):
            def forward(self, input, target):
                return 0.5 * super().forward(input, target)

        reg = make(criterion=Half, lr=0.0).fit(X, y)
        whole = make(lr=0.0).fit(X, y)
        np.testing.assert_allclose(
            2 * np.array(reg.history[:, "train_loss"]), whole.history[:, "train_loss"], rtol=1e-5
        )

    @pytest.mark.parametrize("as_instance", [False, True])
    def test_one_without_a_loss_of_each_sample_is_refused(self, data, as_instance, monkeypatch):
        class Capped(nn.MSELoss):
            def forward(self, input, target):
                return (input - target).square().clamp(max=9).mean()

        X, y = data
        reg = make().fit(X, y)
        before, history = reg.predict(X), reg.history.to_list()
        reached = []
        monkeypatch.setattr(MultimodalRegressor, "fit_loop", lambda *args, **kw: reached.append(1))
        reg.set_params(criterion=Capped() if as_instance else Capped)
        for action in (reg.fit, reg.partial_fit):
            with pytest.raises(TypeError, match=r"criterion=Capped .*reduction='none'"):
                action(X, y)
        assert not reached and reg.history.to_list() == history
        assert np.array_equal(reg.predict(X), before)

    @pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.BCELoss, "mse", None])
    def test_others_are_refused(self, data, criterion):
        words = r"'criterion' parameter of {} must be {} or a subclass\. Got {}"
        losses, got = "MSELoss, L1Loss, SmoothL1Loss, HuberLoss", re.escape(repr(criterion))
        owner = "MultimodalInfoRegRegressor"
        with pytest.raises(TypeError, match=words.format(owner, losses, got)):
            make(criterion=criterion).fit(*data)
        owner = "MultimodalClassifier"
        with pytest.raises(TypeError, match=words.format(owner, "CrossEntropyLoss", ".*MSELoss")):
            MultimodalClassifier(criterion=nn.MSELoss).fit(data[0], np.arange(90) % 2)

    def test_other_reductions_are_refused(self, data):
        with pytest.raises(ValueError, match="criterion__reduction"):
            make(criterion__reduction="sum").fit(*data)

    @pytest.mark.parametrize("score", ["log_probability", "probability_sum"])
    def test_scores_of_classifiers_are_refused(self, data, score):
        with pytest.raises(
            ValueError, match=rf"score='{score}' is defined for classification only"
        ):
            make(method__score=score).fit(*data)
        assert bits(make(method__score="negative_loss").fit(*data)) == bits(make().fit(*data))


class TestRefusals:
    @pytest.mark.parametrize("cls", BOTH)
    def test_class_weight(self, cls):
        with pytest.raises((TypeError, ValueError), match="class_weight"):
            cls(class_weight="balanced")
        with pytest.raises((TypeError, ValueError), match="class_weight"):
            cls().set_params(class_weight=None)
        assert "class_weight" not in cls().get_params()

    @pytest.mark.parametrize(
        "change, words",
        [
            (lambda y: np.where(y > y[3], np.nan, y), "y contains NaN"),
            (lambda y: np.where(y > y[3], np.inf, y), "y contains infinity"),
            (lambda y: np.array(["low", "high"] * 45), "could not convert"),
            (lambda y: y.reshape(9, 10), r"9 values.*90 samples"),
            (lambda y: y[:-1], r"89 values.*90 samples"),
            (lambda y: y.reshape(90, 1, 1), r"\(90, 1, 1\)|dim 3"),
            (lambda y: None, "requires y"),
            (lambda y: y + 1j, "[Cc]omplex"),
            (lambda y: y * 1e306, "scale them"),
        ],
    )
    def test_bad_targets(self, data, change, words):
        X, y = data
        reg = make().fit(X, y)
        before = reg.predict(X)
        with pytest.raises(ValueError, match=words):
            reg.fit(X, change(y))
        assert np.array_equal(before, reg.predict(X))

    @pytest.mark.parametrize("cls", BOTH)
    def test_words_are_for_a_classifier(self, data, cls):
        X, y = data
        words = np.where(y > 70, "high", "low")
        for labels in (words, words.astype(object), words.tolist()):
            with pytest.raises(ValueError, match=rf"{cls.__name__}.*MultimodalInfoRegClassifier"):
                make(cls).fit(X, labels)

    @pytest.mark.parametrize("cls", BOTH)
    def test_no_probabilities(self, data, cls):
        reg = make(cls)
        for attribute in ("predict_proba", "predict_proba_by_modality", "classes_"):
            assert not hasattr(reg, attribute)
            assert not hasattr(reg.fit(*data), attribute)

    def test_not_fitted(self, data):
        for action in ("predict", "predict_by_modality", "transform_by_modality"):
            with pytest.raises(NotFittedError):
                getattr(make(), action)(data[0])
        with pytest.raises(NotFittedError):
            make().score_by_modality(*data)
        assert not hasattr(make(), "target_mean_")

    def test_another_kind_of_method_is_refused(self, data):
        with pytest.raises(TypeError, match=r"for MultimodalRegressor\(method="):
            make(method="joint").fit(*data)


def test_a_regressor_has_no_classes(data):
    with pytest.raises(ValueError, match=r"InfoRegRegressor takes no classes; got \[0, 1\]"):
        make().partial_fit(*data, classes=[0, 1])


class TestScikitLearn:
    @pytest.mark.parametrize("cls", BOTH)
    def test_kind(self, cls):
        assert is_regressor(cls()) and not is_classifier(cls())

    @pytest.mark.parametrize("cls", BOTH)
    def test_parameters_clone_and_pickle(self, data, cls):
        X, y = data
        reg = make(cls, encoders__hidden=(7,), optimizer__weight_decay=0.1).fit(X, y)
        copy = clone(reg)
        assert not hasattr(copy, "module_")
        for key, value in reg.get_params(deep=False).items():
            assert copy.get_params(deep=False)[key] is value or (
                copy.get_params(deep=False)[key] == value
            ), key
        assert bits(copy.fit(X, y)) == bits(reg)
        again = pickle.loads(pickle.dumps(reg))
        assert np.array_equal(again.predict(X), reg.predict(X))
        assert again.target_mean_ == reg.target_mean_
        again.partial_fit(X, y)
        assert len(again.history) == len(reg.history) + 1
        changed = reg.set_params(lr=0.5, criterion=nn.L1Loss)
        assert changed.lr == 0.5 and changed.get_params()["criterion"] is nn.L1Loss
        with pytest.raises((TypeError, ValueError), match="alfa"):
            reg.set_params(alfa=1)

    def test_search(self, data):
        X, y = data
        search = GridSearchCV(make(), {"alpha": [0.0, 2.0], "criterion": CRITERIA[:2]}, cv=2)
        search.fit(ModalityDict(X), y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert search.score(ModalityDict(X), y) == pytest.approx(
            r2_score(y, search.predict(ModalityDict(X)))
        )

    def test_transformed_target(self, data):
        X, y = data
        log = TransformedTargetRegressor(make(max_epochs=30), func=np.log, inverse_func=np.exp)
        log.fit(ModalityDict(X), y)
        assert log.regressor_.target_mean_ == pytest.approx([np.log(y).mean()])
        assert log.predict(ModalityDict(X)).shape == y.shape
        assert log.score(ModalityDict(X), y) > 0.5
        # Scaling twice is scaling once.
        twice = TransformedTargetRegressor(make(dtype="float64"), transformer=StandardScaler())
        once = make(dtype="float64").fit(X, y)
        np.testing.assert_allclose(
            twice.fit(ModalityDict(X), y).predict(ModalityDict(X)), once.predict(X), rtol=1e-9
        )
        two = TransformedTargetRegressor(make(), transformer=FunctionTransformer())
        assert two.fit(ModalityDict(X), np.c_[y, -y]).predict(ModalityDict(X)).shape == (90, 2)

    def test_cross_validate_in_a_pipeline(self, data):
        X, y = data
        pipe = make_pipeline(ModalityTransformer(StandardScaler()), make(max_epochs=40))
        scoring = ["r2", "neg_mean_absolute_error", "neg_root_mean_squared_error"]
        scores = cross_validate(pipe, ModalityDict(X), y, cv=3, scoring=scoring)
        assert scores["test_r2"].min() > 0.4
        assert scores["test_neg_mean_absolute_error"].mean() > -12

    def test_joint_method_and_alpha_0_are_the_same(self, data):
        joint = make(MultimodalRegressor).fit(*data)
        idle = make(alpha=0.0, unimodal_weight=0.0).fit(*data)
        instance = make(MultimodalRegressor, method=InfoReg(alpha=0.0, unimodal_weight=0.0))
        assert bits(joint) == bits(idle) == bits(instance.fit(*data))


class TestGoingOn:
    def test_partial_fit_and_warm_start(self, data):
        X, y = data
        assert bits(make().partial_fit(X, y)) == bits(make(max_epochs=1).fit(X, y))
        step = make().partial_fit(X, y)
        mean, scale = step.target_mean_.copy(), step.target_scale_.copy()
        step.partial_fit(X, y + 500)
        # The unit is that of the first fit, so the new target is far away in it.
        assert np.array_equal(step.target_mean_, mean)
        assert np.array_equal(step.target_scale_, scale)
        assert step.history[-1, "train_loss"] > 100
        warm = make(warm_start=True, lr=0.05, max_epochs=60).fit(X, y)
        warm.fit(X, y + 20)
        assert warm.target_mean_ == mean and len(warm.history) == 120
        assert warm.predict(X).mean() == pytest.approx(y.mean() + 20, abs=4)
        cold = make().fit(X, y)
        cold.fit(X, y + 20)
        assert cold.target_mean_ == pytest.approx(mean + 20) and len(cold.history) == 4

    def test_early_stopping_and_scoring(self, data):
        X, y = data
        stop = EarlyStopping(monitor="valid_loss", patience=3, load_best=True)
        r2 = EpochScoring("r2", lower_is_better=False, name="valid_r2")
        reg = make(train_split=ValidSplit(3), callbacks=[r2, stop], max_epochs=200, lr=0.05)
        reg.fit(X, y)
        losses = np.array(reg.history[:, "valid_loss"])
        assert 4 < len(losses) < 200
        # R^2 of the standardised target, as the callback sees it, is R^2 of the target.
        held = np.array(reg.history[:, "valid_r2"])
        assert np.isfinite(held).all() and np.corrcoef(held, losses)[0, 1] < -0.99
        assert "valid_acc" not in reg.history[-1]

    def test_a_callback_sees_the_units_of_y(self, data):
        X, y = data
        seen = []

        class Spy(Callback):
            def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
                rows = np.asarray(dataset_valid.indices)
                arrays = {name: values[rows] for name, values in X.items()}
                seen.append(
                    (
                        {"joint": net.predict(dataset_valid)}
                        | net.predict_by_modality(dataset_valid),
                        {"joint": net.predict(arrays)} | net.predict_by_modality(arrays),
                        (dataset_valid.y, y[rows]),
                    )
                )

        reg = make(train_split=ValidSplit(3), callbacks=[Spy()], max_epochs=2).fit(X, y)
        assert len(seen) == 2
        for of_dataset, of_arrays, target in seen:
            assert set(of_dataset) == {"joint", *X}
            for name, values in of_dataset.items():
                np.testing.assert_array_equal(values, of_arrays[name])
            np.testing.assert_array_equal(*target)
        assert reg.predict(X).mean() > 10
