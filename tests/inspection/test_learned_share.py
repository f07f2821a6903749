"""Three probes a modality: by hand on features that a second way gives, and what they tell."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from inforeg_sk import (
    EvidencePool,
    LateFusionClassifier,
    ModalityDict,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
)
from inforeg_sk.datasets import make_multimodal_classification
from inforeg_sk.inspection import learned_share

# Of tests that are about what is probed, not how.
QUICK = RidgeClassifier()


@pytest.fixture(scope="module")
def parts():
    X, y = make_multimodal_classification(160, random_state=1)
    return train_test_split(ModalityDict(X), np.array(["x", "y", "z"])[y], random_state=0)


def fit(X, y, cls=MultimodalClassifier, **settings):
    return cls(
        **{"max_epochs": 4, "random_state": 0, "lr": 0.01, "dtype": "float64", **settings}
    ).fit(X, y)


class First(Callback):
    """Keeps the network that the first step begins with."""

    kept = None

    def on_train_begin(self, net, **kwargs):
        First.kept = {k: v.clone() for k, v in net.module_.state_dict().items()}


# Initial network


@pytest.mark.parametrize("random_state", [0, None, "RandomState"])
@pytest.mark.parametrize("fitted_twice", [False, True])
def test_the_initial_network_is_the_one_that_training_began_with(parts, random_state, fitted_twice):
    X, _, y, _ = parts
    rng = np.random.RandomState(3) if random_state == "RandomState" else random_state
    clf = fit(X, y, random_state=rng, callbacks=[("first", First())], fusion="mlp")
    begun = First.kept
    if fitted_twice:
        clf.partial_fit(X, y)
    found = pickle.loads(pickle.dumps(clf)).initial_network()
    weights = dict(found.named_parameters())
    assert all(torch.equal(value, begun[name]) for name, value in weights.items())
    trained = dict(clf.module_.named_parameters())
    assert any(not torch.equal(value, trained[name]) for name, value in weights.items())
    for name, scaler in found.scalers.items():
        assert torch.equal(scaler.mean, clf.module_.scalers[name].mean) and scaler.n_samples > 0
    assert not found.training


def test_it_takes_no_part_in_the_fitted_estimator(parts):
    X, X_test, y, _ = parts
    clf = fit(X, y)
    before, state = clf.predict_proba(X_test), torch.get_rng_state()
    for p in clf.initial_network().parameters():
        p.data.zero_()
    assert np.array_equal(clf.predict_proba(X_test), before)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_that_cannot_be_made_again_is_refused(parts, tmp_path):
    X, _, y, _ = parts
    clf = fit(X, y)
    clf.save_params(f_params=tmp_path / "weights.pt")
    for random_state in (None, 0):
        loaded = MultimodalClassifier(random_state=random_state, dtype="float64")
        loaded.load_params(f_params=tmp_path / "weights.pt")
        if random_state is None:
            with pytest.raises(ValueError, match="weights come from a file"):
                loaded.initial_network()
        else:
            one, two = (e.initial_network().state_dict() for e in (clf, loaded))
            assert all(torch.equal(one[name], two[name]) for name in one)
    clf.set_params(encoders__hidden=7)
    with pytest.raises(ValueError, match="encoders__hidden changed since the fit"):
        clf.initial_network()


# Probes by hand


def by_hand(clf, weights, X):
    """Features of the built-in encoder of vectors, with given weights of the network."""
    network = clf.initial_network()
    network.load_state_dict(weights)
    inputs = {n: torch.as_tensor(X[n]) for n in X}
    with torch.no_grad():
        return {
            n: network.encoders[n]((v - network.scalers[n].mean) / network.scalers[n].scale).numpy()
            for n, v in inputs.items()
        }


def probe_by_hand(Z, y, Z_test, y_test):
    mean, scale = Z.mean(axis=0), Z.std(axis=0)
    scale[scale == 0] = 1.0
    Z, Z_test = (Z - mean) / scale, (Z_test - mean) / scale
    probe = LogisticRegression(C=0.5, max_iter=1000).fit(Z, y)
    return np.mean(probe.predict(Z_test) == y_test)


def test_probes_and_share_equal_a_computation_by_hand(parts):
    X, X_test, y, y_test = parts
    clf = fit(X, y, callbacks=[("first", First())])
    begun, ended = First.kept, clf.module_.state_dict()
    begun = {k: ended[k] if "scaler" in k else v for k, v in begun.items()}
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=1000))
    found = learned_share(clf, X, y, X_test, y_test, probe=probe)
    assert found.modalities == ("strong", "weak")
    for i, name in enumerate(found.modalities):
        alone = fit({name: X[name]}, y)
        ways = {
            "untrained": (clf, begun, X, X_test),
            "joint": (clf, ended, X, X_test),
            "alone": (alone, alone.module_.state_dict(), {name: X[name]}, {name: X_test[name]}),
        }
        p = {}
        for what, (model, weights, A, B) in ways.items():
            Z, Z_test = by_hand(model, weights, A)[name], by_hand(model, weights, B)[name]
            p[what] = probe_by_hand(Z, y, Z_test, y_test)
            assert found[what][i] == pytest.approx(p[what], abs=1e-9)
        gain = p["alone"] - p["untrained"]
        share = (p["joint"] - p["untrained"]) / gain if gain > 0 else np.nan
        assert found.learned_share[i] == pytest.approx(share, nan_ok=True)


def test_the_default_probe_chooses_its_strength_by_log_likelihood_in_three_folds(parts):
    X, X_test, y, y_test = parts
    clf = fit(X, y)
    pipe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    grid = {"logisticregression__C": [0.01, 0.1, 1, 10]}
    expected = GridSearchCV(pipe, grid, cv=StratifiedKFold(3), scoring="neg_log_loss")
    Z, Z_test = clf.transform_by_modality(X)["weak"], clf.transform_by_modality(X_test)["weak"]
    expected.fit(Z, y)
    found = learned_share(clf, X, y, X_test, y_test, scoring="neg_log_loss")
    assert found.joint[1] == pytest.approx(expected.score(Z_test, y_test), rel=1e-3)
    accuracy = np.mean(expected.predict(Z_test) == y_test)
    assert learned_share(clf, X, y, X_test, y_test).joint[1] == pytest.approx(accuracy)


def test_any_scorer_scores_the_probes(parts):
    X, X_test, y, y_test = parts
    clf = fit(X, y)

    def auc(probe, Z, truth):
        return roc_auc_score(truth, probe.predict_proba(Z), multi_class="ovr")

    one = learned_share(clf, X, y, X_test, y_test, scoring=auc)
    two = learned_share(clf, X, y, X_test, y_test, scoring="roc_auc_ovr")
    assert one.joint == pytest.approx(two.joint) and (one.joint > 0.5).all()


# What it tells


def test_an_encoder_that_was_kept_from_learning_has_a_share_near_zero():
    """Only the joint network's encoder of b is frozen. Few random features of many hold little."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 600)
    X = ModalityDict({n: rng.normal(size=(600, 30)) for n in "ab"})
    for values in X.values():
        values[:, 0] += 3 * (y - 0.5)
    train, test = slice(0, 400), slice(400, 600)
    settings = {"max_epochs": 10, "encoders__hidden": 4}
    alone = {n: fit({n: X[train][n]}, y[train], **settings) for n in "ab"}
    frozen = [("encoder_b*", {"lr": 0.0})]
    clf = fit(X[train], y[train], optimizer__param_groups=frozen, **settings)
    found = learned_share(clf, X[train], y[train], X[test], y[test], alone=alone)
    assert (found.alone - found.untrained > 0.1).all()
    assert found.learned_share[0] > 0.8
    assert found.learned_share[1] == 0.0
    assert found.alone_estimators["b"] is alone["b"]


def test_nothing_to_learn_has_no_share():
    rng = np.random.default_rng(0)
    X, y = ModalityDict({"a": rng.normal(size=(80, 3))}), np.arange(80) % 2
    clf = fit(X, y, lr=1e-12)  # alone nothing is learnt either
    found = learned_share(clf, X, y, X, y)
    assert np.isnan(found.learned_share).all() and np.isfinite(found.alone).all()


# Forms


def test_a_pipeline_is_measured_behind_its_transforms(parts):
    X, X_test, y, y_test = parts
    scale = ModalityTransformer(StandardScaler())
    clf = MultimodalClassifier(max_epochs=3, random_state=0)
    pipe = make_pipeline(scale, clf).fit(X, y)
    found = learned_share(pipe, X, y, X_test, y_test, probe=QUICK)
    inner = pipe[-1]
    expected = learned_share(
        inner, pipe[0].transform(X), y, pipe[0].transform(X_test), y_test, probe=QUICK
    )
    for key in ("untrained", "joint", "alone"):
        assert found[key] == pytest.approx(expected[key])
    fusion = LateFusionClassifier(make_pipeline(scale, clf)).fit(X, y)
    given = learned_share(pipe, X, y, X_test, y_test, alone=fusion.experts_, probe=QUICK)
    assert given.alone == pytest.approx(found.alone)


GROUPS = [("encoder_weak*", {"weight_decay": 1.0}), ("encoder_*", {"weight_decay": 1.0})]


def test_other_methods_are_compared_with_plain_networks_trained_alone(parts):
    X, X_test, y, y_test = parts
    plain = learned_share(fit(X, y), X, y, X_test, y_test, probe=QUICK)
    for model in [
        fit(X, y, MultimodalInfoRegClassifier, method__score="probability_sum"),
        fit(X, y, method="inforeg", method__alpha=2.0, active="window"),
        fit(X, y, method="ogm-ge", encoders={"strong": "mlp", "weak": "mlp"}),
        fit(X, y, encoders__weak__hidden=64, optimizer__param_groups=GROUPS),
        fit(X, y, fusion="gated", fusion__conditioning="weak", modality_dropout={"weak": 0.2}),
    ]:
        found = learned_share(model, X, y, X_test, y_test, probe=QUICK)
        if model.fusion == "concat":
            assert found.alone == pytest.approx(plain.alone)
            assert found.untrained == pytest.approx(plain.untrained)
        assert set(found.alone_estimators) == set(X)


def test_tables_and_missing_modalities(parts):
    X, X_test, y, y_test = parts

    def table(X):
        return pd.DataFrame(np.hstack([X["strong"], X["weak"]])).add_prefix("f")

    names = list(table(X).columns)
    columns = {"strong": names[: X["strong"].shape[1]], "weak": names[X["strong"].shape[1] :]}
    one = fit(table(X), y, modalities=columns)
    found = learned_share(one, table(X), y, table(X_test), y_test, probe=QUICK)
    expected = learned_share(fit(X, y), X, y, X_test, y_test, probe=QUICK)
    assert found.alone == pytest.approx(expected.alone)
    assert found.joint == pytest.approx(expected.joint)
    holes = {n: np.array(v) for n, v in X.items()}
    holes["weak"][::3] = np.nan
    clf = fit(holes, y, missing="allow")
    found = learned_share(clf, holes, y, X_test, y_test, probe=QUICK)
    keep = np.arange(len(y)) % 3 > 0
    weak = fit({"weak": X["weak"][keep]}, y[keep])  # on the samples that have it
    expected = learned_share(
        clf,
        X[keep],
        y[keep],
        X_test,
        y_test,
        alone={"weak": weak, "strong": found.alone_estimators["strong"]},
        probe=QUICK,
    )
    for key in ("untrained", "joint", "alone"):
        assert found[key][1] == pytest.approx(expected[key][1])
    gone = {"strong": X_test["strong"], "weak": np.full_like(X_test["weak"], np.nan)}
    found = learned_share(clf, holes, y, gone, y_test, probe=QUICK)
    assert np.isnan(found.joint).tolist() == [False, True]


@pytest.mark.parametrize("outputs", [1, 2])
def test_regression_with_groups_is_probed_by_ridge(parts, outputs):
    X, X_test, _, _ = parts
    tables = (np.column_stack([part["strong"][:, 0], part["weak"][:, 0]]) for part in (X, X_test))
    y, y_test = (table[:, :outputs].squeeze() for table in tables)
    reg = fit(X, y, MultimodalRegressor)
    groups = np.arange(len(y)) // 3
    found = learned_share(reg, X, y, X_test, y_test, groups=groups)
    assert found.joint[0] > 0.2
    plain = learned_share(reg, X, y, X_test, y_test, probe=LinearRegression())
    Z, Z_test = (reg.transform_by_modality(part)["strong"] for part in (X, X_test))
    assert plain.joint[0] == pytest.approx(LinearRegression().fit(Z, y).score(Z_test, y_test))


def test_the_network_of_a_pool_is_measured(parts):
    X, X_test, y, y_test = parts
    network = MultimodalClassifier(max_epochs=2, random_state=0)
    pool = EvidencePool(network, {"weak": ["ridge"]}, cv=2).fit(X, y)
    found = learned_share(pool, X, y, X_test, y_test, probe=QUICK)
    expected = learned_share(pool.network_, X, y, X_test, y_test, probe=QUICK)
    assert found.joint == pytest.approx(expected.joint)


def test_what_has_no_encoders_or_no_estimator_alone_is_refused(parts):
    X, X_test, y, y_test = parts
    late = LateFusionClassifier(LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match="got LateFusionClassifier"):
        learned_share(late, X, y, X_test, y_test)
    clf = fit(X, y)
    weak = fit({"weak": X["weak"]}, y)
    with pytest.raises(ValueError, match=r"no estimator of modality 'strong'.*has those of 'weak'"):
        learned_share(clf, X, y, X_test, y_test, alone={"weak": weak})
    with pytest.raises(
        ValueError, match="for modality 'strong' an estimator that was fitted on 'w"
    ):
        learned_share(clf, X, y, X_test, y_test, alone={"strong": weak, "weak": weak})
    with pytest.raises(TypeError, match="'scoring' parameter of learned_share"):
        learned_share(clf, X, y, X_test, y_test, scoring=["accuracy"])
