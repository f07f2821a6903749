"""What a pool says and keeps: weights, evidence, scores, and scikit-learn's habits."""

import pickle

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from pools import pool, small, small_regressor, two_modalities, two_numbers
from scipy.optimize import Bounds, minimize
from scipy.special import log_softmax
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inforeg_sk import EvidencePool, ModalityDict, MultimodalInfoRegClassifier
from inforeg_sk.compose import ModalityTransformer


@pytest.fixture(scope="module")
def fitted():
    X, y = two_modalities()
    return pool(experts={"text": ["ridge", "extra_trees"], "audio": ["ridge"]}).fit(X, y), X, y


def solved(E, y, prior, w0, weight=None):
    """Weights and constants by scipy, from the objective as the documents have it."""
    S, u = E.shape[1], np.ones(len(y)) if weight is None else weight / weight.mean()

    def objective(x):
        w, b = x[:S], x[S:]
        log_p = log_softmax(prior + b + np.tensordot(E, w, axes=(1, 0)), axis=1)
        loss = -(u * log_p[np.arange(len(y)), y]).sum()
        return loss + S * ((w - w0) ** 2).sum() + (b**2).sum()

    low = np.r_[np.zeros(S), np.full(len(prior), -np.inf)]
    x0, options = np.r_[np.full(S, 0.5), np.zeros(len(prior))], {"ftol": 1e-15, "gtol": 1e-10}
    x = minimize(objective, x0, jac="3-point", method="L-BFGS-B", bounds=Bounds(low),
                 options=options).x  # fmt: skip
    return x[:S], x[S:], log_softmax(prior + x[S:] + np.tensordot(E, x[:S], axes=(1, 0)), axis=1)


def test_weights_of_both_levels_are_those_of_scipy_on_the_same_opinions(fitted):
    made, _, y = fitted
    position = np.searchsorted(made.classes_, y)
    prior = np.log((np.bincount(position) + 0.5) / (len(y) + 1.5))
    np.testing.assert_allclose(made.prior_, prior)
    E = made.oof_log_proba_ - prior
    names = made.expert_names_
    weights, blocks = {}, []
    for block in ("audio", "text", "joint"):
        where = [i for i, name in enumerate(names) if name[0] == block]
        w, _, log_p = solved(E[:, where], position, prior, 1 / len(where))
        weights.update((names[i], value) for i, value in zip(where, w))
        blocks.append(log_p - prior)
    outer, _, _ = solved(np.stack(blocks, axis=1), position, prior, 2 / 3)
    outer = dict(zip(("audio", "text", "joint"), outer))
    for (block, name), weight in weights.items():
        assert made.weights_[block][name] == pytest.approx(outer[block] * weight, abs=2e-6)
    for block, of_block in made.weights_.items():
        assert made.block_weights_[block] == pytest.approx(sum(of_block.values()))


def test_evidence_adds_up_to_the_log_odds(fitted):
    made, X, _ = fitted
    evidence, log_p = made.evidence(X), made.predict_log_proba(X)
    total = evidence.prior + evidence.bias
    for of_block in evidence.experts.values():
        total = total + sum(of_block.values())
    np.testing.assert_allclose(total[:, 1:] - total[:, :1], log_p[:, 1:] - log_p[:, :1], atol=1e-10)
    np.testing.assert_allclose(evidence.total(), log_p, atol=1e-10)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1)
    # An expert's evidence is its weight times what it says beyond the prior.
    ridge = made.experts_["text"]["ridge"].predict_log_proba(X["text"].astype(np.float32))
    said = made.weights_["text"]["ridge"] * (np.maximum(ridge, -12) - made.prior_)
    np.testing.assert_allclose(evidence.experts["text"]["ridge"], said, atol=1e-9)
    assert list(evidence.by_block()) == ["text", "audio", "joint"]


def test_predictions_and_score_are_of_the_most_probable_class(fitted):
    made, X, y = fitted
    best = made.classes_[made.predict_proba(X).argmax(axis=1)]
    np.testing.assert_array_equal(made.predict(X), best)
    assert made.score(X, y) == accuracy_score(y, best)
    assert made.score(X, y) > 0.8


def test_weights_are_not_negative_and_an_expert_that_misleads_gets_none():
    X, y = two_modalities()
    wrong = LogisticRegression(class_weight={"anger": 1e-3, "fear": 1, "joy": 1})
    made = pool(experts={"audio": ["ridge", ("wrong", wrong)], "text": []}).fit(X, y)
    values = [w for of_block in made.weights_.values() for w in of_block.values()]
    assert min(values) >= 0
    assert made.weights_["audio"]["wrong"] < made.weights_["audio"]["ridge"]


def test_the_order_of_modalities_changes_nothing_but_what_is_shown(fitted):
    made, X, y = fitted
    turned = {name: X[name] for name in reversed(list(X))}
    other = clone(made).fit(turned, y)
    np.testing.assert_array_equal(made.predict_proba(X), other.predict_proba(turned))
    assert list(made.weights_) == ["text", "audio", "joint"]
    assert list(other.weights_) == ["audio", "text", "joint"]
    assert made.weights_ == other.weights_


def test_blocks_are_worth_what_the_loss_loses_without_them():
    rng = np.random.default_rng(0)
    X, y = two_modalities(150)
    X["noise"] = rng.normal(size=(150, 3))
    made = pool().fit(X, y)
    worth = made.block_importance_
    assert worth["text"].increase > 2 * worth["text"].standard_error > 0
    assert abs(worth["noise"].increase) < 0.05
    # By hand: out-of-fold losses with and without, weights from the other folds.
    position = np.searchsorted(made.classes_, y)
    E, prior = made.oof_log_proba_ - made.prior_, made.prior_
    losses = np.zeros((2, len(y)))
    for k in range(3):
        train, test = made.fold_ != k, made.fold_ == k
        inner, said = [], []
        for i in range(E.shape[1]):  # blocks of one expert each
            w, b, log_p = solved(E[train][:, [i]], position[train], prior, 1.0)
            inner.append(log_p - prior)
            said.append(log_softmax(prior + b + w * E[test, i], axis=1) - prior)
        kept = [i for i, name in enumerate(made.expert_names_) if name[0] != "text"]
        for row, (which, w0) in enumerate([(range(4), 3 / 4), (kept, 2 / 3)]):
            parts = np.stack([inner[i] for i in which], axis=1)
            w, b, _ = solved(parts, position[train], prior, w0)
            log_p = log_softmax(prior + b + sum(v * said[i] for v, i in zip(w, which)), axis=1)
            losses[row, test] = -log_p[np.arange(test.sum()), position[test]]
    more = losses[1] - losses[0]
    assert worth["text"].increase == pytest.approx(more.mean(), abs=1e-4)
    assert worth["text"].standard_error == pytest.approx(more.std() / np.sqrt(150), abs=1e-4)


def test_the_spread_is_that_of_weights_without_each_fold(fitted):
    made, _, _ = fitted
    spread = made.weights_spread_
    assert list(spread) == list(made.weights_) and spread["text"]["ridge"] > 0
    assert made.block_weights_spread_["audio"] == pytest.approx(spread["audio"]["ridge"])


def test_scores_by_modality_are_of_its_experts_alone(fitted):
    made, X, y = fitted
    scores = made.score_by_modality(X, y)
    assert list(scores) == ["text", "audio"]
    # A block of one expert: its weight and constants hardly move the most probable class.
    ridge = made.experts_["audio"]["ridge"].score(X["audio"], y)
    assert scores["audio"] == pytest.approx(ridge, abs=0.05)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_regression_pools_values(n_outputs):
    X, y = two_numbers(n_outputs=n_outputs)
    made = pool(small_regressor()).fit(X, y)
    assert is_regressor(made) and not hasattr(made, "predict_proba")
    predicted = made.predict(X)
    assert predicted.shape == y.shape
    assert made.score(X, y) == pytest.approx(r2_score(y, predicted)) and made.score(X, y) > 0.8
    total = made.evidence(X).total()
    np.testing.assert_allclose(total.reshape(y.shape), predicted, atol=1e-10)
    assert np.all(made.weights_["text"]["ridge"] >= 0)
    np.testing.assert_allclose(made.prior_, y.reshape(80, -1).mean(axis=0))
    assert made.oof_prediction_.shape == (80, 3, n_outputs)
    assert made.block_importance_["audio"].increase > 0
    assert set(made.score_by_modality(X, y)) == {"text", "audio"}


def test_the_default_experts_are_those_of_the_list():
    X, y = two_modalities()
    made = pool(experts="default").fit(X, y)
    assert {block: list(of) for block, of in made.experts_.items()} == {
        "text": ["ridge", "elastic_net", "extra_trees"],
        "audio": ["ridge", "elastic_net", "extra_trees"],
        "joint": ["network", "early_network", "extra_trees"],
    }
    assert made.oof_log_proba_.shape == (90, 9, 3)


def test_the_network_is_that_of_a_fit_on_all_samples(fitted):
    made, X, y = fitted
    alone = small().fit(X, y)
    np.testing.assert_allclose(
        made.network_.predict_proba(X), alone.predict_proba(X), rtol=1e-4, atol=1e-6
    )
    assert made.network_.fisher_trace_["text"].shape == (2,)


def test_a_clone_a_pickle_and_a_second_fit_say_the_same(fitted):
    made, X, y = fitted
    p = made.predict_proba(X)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.predict_proba(X), p)
    np.testing.assert_array_equal(clone(made).fit(X, y).predict_proba(X), p)
    assert not hasattr(clone(made), "weights_")


def test_experts_in_parallel_are_the_same(fitted):
    made, X, y = fitted
    with parallel_config(backend="threading"):  # new processes would take seconds
        two = clone(made).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_allclose(two.predict_proba(X), made.predict_proba(X), atol=1e-8)


def test_partial_fit_is_refused_in_words(fitted):
    made, X, y = fitted
    assert not hasattr(made, "partial_fit")
    with pytest.raises(AttributeError, match=r"EvidencePool has no partial_fit: .* Call fit"):
        made.partial_fit(X, y)


def test_nested_parameters_can_be_searched():
    X, y = two_modalities(60)
    grid = {"estimator__alpha": [0.0, 1.0], "experts": ["light"]}
    search = GridSearchCV(pool(cv=2), grid, cv=2).fit(ModalityDict(X), y)
    assert search.best_estimator_.network_.alpha in (0.0, 1.0)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_weights_and_groups_are_routed():
    X, y = two_numbers(48, n_outputs=2)
    weight, groups = np.linspace(1, 2, 48), np.arange(48) // 4
    with config_context(enable_metadata_routing=True):
        network = small_regressor().set_fit_request(sample_weight=True)
        experts = {"text": ["hist_gradient_boosting"], "audio": ["svc"], "joint": []}
        made = pool(network, experts, cv=2).set_score_request(sample_weight=True)
        made.set_fit_request(sample_weight=True, groups=True)
        done = cross_validate(
            made,
            ModalityDict(X),
            y,
            cv=2,
            params={"sample_weight": weight, "groups": groups},
            return_estimator=True,
            return_indices=True,
            error_score="raise",
        )
    for one, rows in zip(done["estimator"], done["indices"]["train"], strict=True):
        np.testing.assert_allclose(one.prior_, np.average(y[rows], axis=0, weights=weight[rows]))
        held = [set(groups[rows][one.fold_ == k]) for k in (0, 1)]
        assert not held[0] & held[1]


def test_tags_are_those_of_the_wrapped_estimator():
    assert is_classifier(EvidencePool()) and is_classifier(pool())
    assert is_classifier(pool(make_pipeline(StandardScaler(), small())))
    assert is_regressor(pool(small_regressor())) and not is_classifier(pool(small_regressor()))


def test_tables_are_cut_as_by_the_network():
    X, y = two_modalities()
    frame = pd.DataFrame(np.hstack([X["text"], X["audio"]])).add_prefix("c")
    columns = {"text": [f"c{i}" for i in range(5)], "audio": [f"c{i}" for i in range(5, 9)]}
    made = pool(small(modalities=columns)).fit(frame, pd.Series(y))
    np.testing.assert_allclose(
        made.predict_proba(frame), pool().fit(X, y).predict_proba(X), atol=1e-5
    )
    assert made.n_features_in_ == 9 and list(made.feature_names_in_) == list(frame.columns)
    array = pool(small(modalities={"text": slice(0, 5), "audio": slice(5, 9)}))
    assert array.fit(frame.to_numpy(), y).predict(frame.to_numpy()).shape == (90,)


def test_a_pipeline_is_fitted_on_each_training_part(monkeypatch):
    X, y = two_modalities()
    X["text"] = X["text"] * 100 + 7
    seen = []
    fit = StandardScaler.fit
    monkeypatch.setattr(
        StandardScaler, "fit", lambda self, X, *a, **k: seen.append(len(X)) or fit(self, X, *a, **k)
    )
    front = ModalityTransformer({"text": StandardScaler()}, remainder="passthrough")
    made = pool(make_pipeline(front, small())).fit(ModalityDict(X), y)
    assert sorted(seen) == [60, 60, 60, 90]
    assert made.predict(ModalityDict(X)).shape == (90,) and made.network_.steps[0][0]
    assert made.score(ModalityDict(X), y) > 0.7
    np.testing.assert_allclose(
        made.evidence(ModalityDict(X)).total(), made.predict_log_proba(ModalityDict(X)), atol=1e-10
    )


def test_what_is_said_on_the_way(capsys):
    X, y = two_modalities(60)
    pool(verbose=1).fit(X, y)
    out = capsys.readouterr().out
    assert "EvidencePool: 4 fits of the network, 8 of other experts" in out


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"experts": "defaul"}, r"'experts' parameter of EvidencePool .* did you mean 'default'"),
        (
            {"experts": {"vision": []}},
            r"names 'vision', but the blocks are 'audio', 'text', 'joint'",
        ),
        ({"experts": {"text": ["rigde"]}}, r"did you mean 'ridge'"),
        ({"experts": {"text": [("a", 3)]}}, r"pairs of a name and an estimator"),
        ({"experts": {"text": ["ridge", "ridge"]}}, r"'ridge' twice for 'text'"),
        ({"cv": 1}, r"'cv' parameter of EvidencePool must be an int in \[2, inf\)"),
        ({"cv": "five"}, r"'cv' parameter of EvidencePool .* an iterable of splits\. Got 'five'"),
        ({"cv": 91}, r"at most the number of samples \(n_samples=90\)\. Got 91"),
        ({"cv": ShuffleSplit(3, random_state=0)}, r"must hold out each sample once, as KFold does"),
        ({"lam": 0}, r"'lam' parameter of EvidencePool"),
        ({"estimator": LogisticRegression()}, r"'estimator' parameter .* of this library"),
    ],
)
def test_wrong_parameters_are_named(settings, text):
    X, y = two_modalities()
    with pytest.raises((TypeError, ValueError), match=text):
        pool().set_params(**settings).fit(X, y)


def test_splitters_and_defaults_work():
    X, y = two_modalities(60)
    made = pool(cv=KFold(3)).fit(X, y)
    np.testing.assert_array_equal(made.fold_, np.arange(60) // 20)
    assert isinstance(EvidencePool()._base(), MultimodalInfoRegClassifier)
