"""The regressors as a user meets them: targets, units, outputs, scores, usefulness."""

import numpy as np
import pandas as pd
import pytest
import torch
from regression import BOTH, CRITERIA, bits, make, make_data
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_absolute_error, r2_score


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
