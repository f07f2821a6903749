"""The regressors as a user meets them: targets, units, scores, parameters, scikit-learn's tools."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import mean_absolute_error, r2_score
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
    MultimodalInfoRegRegressor,
    MultimodalRegressor,
)

BOTH = [MultimodalRegressor, MultimodalInfoRegRegressor]
CRITERIA = [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss]


def make_data(n=90, seed=0):
    """Three modalities that tell parts of a target, in units of its own."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(n, 3))
    X = {}
    for i, (name, noise) in enumerate({"audio": 0.3, "text": 0.6, "video": 1.0}.items()):
        X[name] = parts[:, [i]] + noise * rng.normal(size=(n, 4 + i))
    y = 70 + 12 * (parts.sum(axis=1) + 0.2 * rng.normal(size=n))
    return X, y


def make(cls=MultimodalInfoRegRegressor, **kwargs):
    return cls(**{"max_epochs": 4, "random_state": 0, "lr": 0.01} | kwargs)


def bits(estimator):
    return [p.detach().numpy().tobytes() for p in estimator.module_.parameters()]


@pytest.fixture
def data():
    return make_data()


class TestUnits:
    @pytest.mark.parametrize("cls", BOTH)
    def test_predictions_are_in_the_targets_units(self, data, cls):
        X, y = data
        reg = make(cls, max_epochs=40).fit(X, y)
        predicted = reg.predict(X)
        assert predicted.shape == y.shape and predicted.dtype == np.float64
        assert predicted.mean() == pytest.approx(y.mean(), abs=3)
        assert 0.6 < predicted.std() / y.std() < 1.2
        assert reg.target_mean_ == pytest.approx([y.mean()])
        assert reg.target_scale_ == pytest.approx([y.std()])
        np.testing.assert_allclose(
            predicted, reg.forward(X)[:, 0].double().numpy() * y.std() + y.mean(), rtol=1e-6
        )

    @pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-9)])
    @pytest.mark.parametrize("a, b", [(3.0, 0.0), (0.5, 40.0), (1e6, -2e6), (1e-7, 0.0)])
    @pytest.mark.parametrize("cls", BOTH)
    def test_another_unit_is_only_that(self, data, dtype, tolerance, a, b, cls):
        X, y = data
        first = make(cls, dtype=dtype).fit(X, y)
        second = make(cls, dtype=dtype).fit(X, a * y + b)
        # Relative to the size of the predictions, not to those that happen to be near 0.
        scale = np.abs(a * y + b).max()
        np.testing.assert_allclose(
            second.predict(X), a * first.predict(X) + b, rtol=0, atol=tolerance * scale
        )
        assert second.target_mean_ == pytest.approx(a * first.target_mean_ + b)
        assert second.target_scale_ == pytest.approx(a * first.target_scale_)
        for name in X:
            np.testing.assert_allclose(
                second.curves_["performance_score"][name],
                first.curves_["performance_score"][name],
                rtol=1e-4,
            )

    def test_weight_two_is_a_repetition(self, data):
        X, y = data
        weight = np.where(np.arange(len(y)) % 3 == 0, 2.0, 1.0)
        rows = np.repeat(np.arange(len(y)), weight.astype(int))
        settings = {"batch_size": -1, "dtype": "float64"}
        weighted = make(**settings).fit(X, y, sample_weight=weight)
        repeated = make(**settings).fit({k: v[rows] for k, v in X.items()}, y[rows])
        np.testing.assert_allclose(weighted.target_mean_, repeated.target_mean_, rtol=1e-13)
        np.testing.assert_allclose(weighted.target_scale_, repeated.target_scale_, rtol=1e-13)
        assert weighted.target_mean_[0] == pytest.approx(np.average(y, weights=weight))
        np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9)

    def test_a_sample_of_weight_zero_counts_for_nothing(self, data):
        X, y = data
        wild = y.copy()
        wild[5] = 1e9
        weight = np.ones(len(y))
        weight[5] = 0.0
        first = make().fit(X, y, sample_weight=weight)
        second = make().fit(X, wild, sample_weight=weight)
        assert first.target_mean_ == second.target_mean_
        assert bits(first) == bits(second)

    @pytest.mark.parametrize("value", [0.0, 7.0, -3e12, 1e-300, 0.1])
    @pytest.mark.parametrize("cls", BOTH)
    def test_a_constant_target(self, data, value, cls):
        X, _ = data
        reg = make(cls, max_epochs=60).fit(X, np.full(90, value))
        assert reg.target_scale_.tolist() == [1.0]
        assert reg.target_mean_ == pytest.approx([value])
        # The network learns zero, in units of 1.
        assert np.abs(reg.predict(X) - value).max() < 0.5 + 1e-9 * abs(value)
        assert all(np.isfinite(s).all() for s in reg.curves_["performance_score"].values())

    def test_one_sample(self, data):
        X, y = data
        reg = make().fit({k: v[:1] for k, v in X.items()}, y[:1])
        assert np.isfinite(reg.predict(X)).all() and reg.target_mean_.tolist() == y[:1].tolist()

    @pytest.mark.parametrize(
        "form",
        [list, pd.Series, lambda y: y.astype(np.float32), lambda y: y.astype(object), torch.tensor],
    )
    def test_forms_of_the_target(self, data, form):
        X, y = data
        y = np.round(y)  # of which float32 and float64 hold the same
        assert bits(make().fit(X, y)) == bits(make().fit(X, form(y)))

    def test_integers(self, data):
        X, y = data
        whole = np.round(y).astype(int)
        assert bits(make().fit(X, whole)) == bits(make().fit(X, whole.astype(float)))
        assert make().fit(X, whole).predict(X).dtype == np.float64


class TestSeveralOutputs:
    @pytest.fixture
    def table(self, data):
        X, y = data
        return X, np.stack([y, -1000 * y, np.full(90, 3.0) + X["text"][:, 0]], axis=1)

    @pytest.mark.parametrize("cls", BOTH)
    def test_shape_units_and_score(self, table, cls):
        X, Y = table
        reg = make(cls, max_epochs=40).fit(X, Y)
        predicted = reg.predict(X)
        assert predicted.shape == Y.shape
        np.testing.assert_allclose(reg.target_mean_, Y.mean(axis=0))
        np.testing.assert_allclose(reg.target_scale_, Y.std(axis=0))
        assert reg.score(X, Y) == pytest.approx(r2_score(Y, predicted))
        assert all(r2_score(Y, predicted, multioutput="raw_values") > 0.5)
        by_modality = reg.predict_by_modality(X)
        assert {p.shape for p in by_modality.values()} == {Y.shape}
        scores = reg.score_by_modality(X, Y)
        for name in X:
            assert scores[name] == pytest.approx(r2_score(Y, by_modality[name]))

    def test_one_column_stays_a_table(self, data):
        X, y = data
        flat, table = make().fit(X, y), make().fit(X, y[:, None])
        assert bits(flat) == bits(table)
        assert table.predict(X).shape == (90, 1) and flat.predict(X).shape == (90,)
        assert np.array_equal(table.predict(X)[:, 0], flat.predict(X))

    def test_a_frame_and_weights(self, table):
        X, Y = table
        weight = np.random.default_rng(0).uniform(size=90)
        reg = make().fit(X, pd.DataFrame(Y, columns=list("abc")), sample_weight=weight)
        assert bits(reg) == bits(make().fit(X, Y, sample_weight=weight))
        expected = r2_score(Y, reg.predict(X), sample_weight=weight)
        assert reg.score(X, Y, sample_weight=weight) == pytest.approx(expected)

    def test_another_number_of_outputs_later(self, table):
        X, Y = table
        reg = make().fit(X, Y)
        before = reg.predict(X)
        with pytest.raises(ValueError, match=r"y has 2 output.*3"):
            reg.partial_fit(X, Y[:, :2])
        with pytest.raises(ValueError, match=r"y has 1 output.*3"):
            reg.partial_fit(X, Y[:, 0])
        assert np.array_equal(before, reg.predict(X))


class TestScores:
    @pytest.mark.parametrize("cls", BOTH)
    def test_r2(self, data, cls):
        X, y = data
        reg = make(cls).fit(X, y)
        weight = np.random.default_rng(0).uniform(size=90)
        assert reg.score(X, y) == pytest.approx(r2_score(y, reg.predict(X)))
        expected = r2_score(y, reg.predict(X), sample_weight=weight)
        assert reg.score(X, y, sample_weight=weight) == pytest.approx(expected)

    def test_by_modality_by_hand(self, data):
        X, y = data
        reg = make(dtype="float64").fit(X, y)
        features = reg.transform_by_modality(X)
        W, b = reg.head_.weight.detach().numpy(), reg.head_.bias.detach().numpy()
        weight, start = np.random.default_rng(0).uniform(size=90), 0
        total = np.zeros(90)
        for name in sorted(X):
            width = features[name].shape[1]
            outputs = features[name] @ W[0, start : start + width] + b[0] / 3
            start += width
            total += outputs
            expected = outputs * y.std() + y.mean()
            np.testing.assert_allclose(reg.predict_by_modality(X)[name], expected, rtol=1e-10)
            assert reg.score_by_modality(X, y)[name] == pytest.approx(r2_score(y, expected))
            assert reg.score_by_modality(X, y, weight)[name] == pytest.approx(
                r2_score(y, expected, sample_weight=weight)
            )
        # In standardised units the unimodal outputs add up to the joint one.
        np.testing.assert_allclose(total * y.std() + y.mean(), reg.predict(X), rtol=1e-10)

    def test_missing_modalities_by_hand(self, data):
        X, y = data
        rng = np.random.default_rng(1)
        there = {"text": rng.random(90) < 0.6, "audio": rng.random(90) < 0.7}
        for name, mask in there.items():
            X[name][~mask] = np.nan
        there["video"] = np.ones(90, bool)
        reg = make(missing="allow").fit(X, y)
        by_modality = reg.predict_by_modality(X)
        common = there["text"] & there["audio"]
        for name, mask in there.items():
            assert np.array_equal(np.isnan(by_modality[name]), ~mask)
            for samples, rows in (("common", common), ("each", mask)):
                got = reg.score_by_modality(X, y, samples=samples)[name]
                assert got == pytest.approx(r2_score(y[rows], by_modality[name][rows]))

    def test_performance_score_is_minus_the_loss(self, data):
        # With a learning rate of 0 and one batch it is that of the network as it stands.
        X, y = data
        for criterion in CRITERIA:
            reg = make(lr=0.0, batch_size=-1, criterion=criterion, max_epochs=1).fit(X, y)
            for name, predicted in reg.predict_by_modality(X).items():
                error = torch.as_tensor((predicted - y) / y.std())
                loss = criterion()(error, torch.zeros(90, dtype=torch.float64)).item()
                assert reg.curves_["performance_score"][name][0] == pytest.approx(-loss, rel=1e-5)


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
        with pytest.raises(TypeError, match=r"criterion=.*MSELoss"):
            make(criterion=criterion).fit(*data)
        with pytest.raises(TypeError, match=r"criterion=.*CrossEntropyLoss"):
            MultimodalClassifier(criterion=nn.MSELoss).fit(data[0], np.arange(90) % 2)

    def test_other_reductions_are_refused(self, data):
        with pytest.raises(ValueError, match="criterion__reduction"):
            make(criterion__reduction="sum").fit(*data)

    @pytest.mark.parametrize("score", ["log_probability", "probability_sum"])
    def test_scores_of_classifiers_are_refused(self, data, score):
        with pytest.raises(ValueError, match=rf"score='{score}'.*'auto', 'negative_loss'"):
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

    def test_a_callback_sees_standardised_values(self, data):
        X, y = data
        seen = []

        class Spy(Callback):
            def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
                rows = np.asarray(dataset_valid.indices)
                arrays = {name: values[rows] for name, values in X.items()}
                target = np.concatenate([batch[1] for batch in net.get_iterator(dataset_valid)])
                seen.append(
                    (
                        {"joint": net.predict(dataset_valid)[:, 0]}
                        | {n: p[:, 0] for n, p in net.predict_by_modality(dataset_valid).items()},
                        {"joint": net.predict(arrays)} | net.predict_by_modality(arrays),
                        (target[:, 0], y[rows]),
                    )
                )

        reg = make(train_split=ValidSplit(3), callbacks=[Spy()], max_epochs=2).fit(X, y)
        assert len(seen) == 2
        mean, scale = y.mean(), y.std()
        for standardised, in_units, target in seen:
            assert set(standardised) == {"joint", *X}
            for name, values in standardised.items():
                np.testing.assert_allclose(values * scale + mean, in_units[name], rtol=1e-9)
            np.testing.assert_allclose(target[0] * scale + mean, target[1], rtol=1e-5)
        assert reg.predict(X).mean() > 10 > np.abs(seen[-1][0]["joint"]).max()


class TestUsefulness:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_better_than_the_mean(self, cls, seed):
        X, y = make_data(400, seed)
        train, test = np.arange(300), np.arange(300, 400)
        reg = make(cls, max_epochs=40, random_state=seed)
        reg.fit({k: v[train] for k, v in X.items()}, y[train])
        predicted = reg.predict({k: v[test] for k, v in X.items()})
        dummy = DummyRegressor().fit(np.zeros((300, 1)), y[train]).predict(np.zeros((100, 1)))
        error, trivial = (mean_absolute_error(y[test], p) for p in (predicted, dummy))
        assert error < 0.45 * trivial
        assert np.corrcoef(predicted, y[test])[0, 1] > 0.88


def test_a_regressor_has_no_classes(data):
    with pytest.raises(ValueError, match=r"InfoRegRegressor takes no classes; got \[0, 1\]"):
        make().partial_fit(*data, classes=[0, 1])
