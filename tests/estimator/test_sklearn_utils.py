"""Utilities and metadata routing of scikit-learn with a `ModalityDict` and our classifier."""

import numpy as np
import pytest
import sklearn
from entry_points import (
    GROUPS,
    PLAIN,
    WEIGHT,
    N,
    X,
    Y,
    close,
    entry_point,
    equal,
    fitted_on,
    folds,
    make,
    rows,
    same_rows,
    scaled_by_hand,
)
from sklearn import base, model_selection, pipeline, utils
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version
from skorch.dataset import ValidSplit

from inforeg_sk import ModalityTransformer

SKLEARN = parse_version(sklearn.__version__)


# Utilities


@entry_point("base.clone", takes="nothing")
def test_clone_is_unfitted_and_fits_the_same():
    clf = make(method__score="probability_sum", encoders__strong__hidden=5).fit(X, Y)
    fresh = base.clone(clf)
    assert not hasattr(fresh, "classes_")
    with pytest.raises(sklearn.exceptions.NotFittedError):
        utils.validation.check_is_fitted(fresh)
    assert fresh.get_params(deep=False) == clf.get_params(deep=False)
    equal(fresh.fit(X, Y).predict_proba(X), clf.predict_proba(X))


@entry_point("base.is_classifier", takes="nothing")
def test_classifier_is_told_from_a_regressor():
    assert base.is_classifier(make()) and not base.is_regressor(make())


@entry_point("utils.validation.check_is_fitted", takes="nothing")
def test_check_is_fitted_tells_fitted_from_new():
    utils.validation.check_is_fitted(make().fit(X, Y))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        utils.validation.check_is_fitted(make())


@entry_point("utils.shuffle")
def test_shuffle_keeps_rows_and_labels_together():
    shuffled, y, index = utils.shuffle(X, Y, np.arange(N), random_state=0)
    same_rows(shuffled, index)
    equal(y, Y[index])
    assert sorted(index) == list(range(N)) and list(index) != sorted(index)


@entry_point("utils.resample")
def test_resample_stratifies_by_the_labels():
    sample, index = utils.resample(X, np.arange(N), n_samples=60, stratify=Y, random_state=0)
    same_rows(sample, index)
    assert len(np.unique(index)) < len(sample) == 60
    assert np.unique(Y[index], return_counts=True)[1].tolist() == [20, 20, 20]


@entry_point("utils.indexable")
def test_indexable_compares_numbers_of_samples():
    data, y, nothing = utils.indexable(X, Y.tolist(), None)
    assert data is X and nothing is None
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        utils.indexable(X, Y[:-1])


@entry_point("utils._safe_indexing")
def test_safe_indexing_selects_rows():
    mask = np.arange(N) % 3 == 0
    for index in ([3, 1, 1], np.array([5, 0]), mask, mask.tolist(), slice(10, 20)):
        same_rows(utils._safe_indexing(X, index), index)


@entry_point("utils.check_consistent_length")
def test_consistent_length_counts_samples():
    utils.check_consistent_length(X, Y, None)
    with pytest.raises(ValueError, match=r"\[90, 89\]"):
        utils.check_consistent_length(X, Y[1:])


@entry_point("utils.validation._num_samples")
def test_number_of_samples_is_that_of_each_modality():
    assert utils.validation._num_samples(X) == N


@entry_point("utils.gen_batches")
def test_batches_of_slices_fit_out_of_core():
    # Out of core: a slice at a time.
    ours, by_hand = make(), make()
    for batch in utils.gen_batches(N, 30):
        ours.partial_fit(X[batch], Y[batch], classes=np.unique(Y))
        by_hand.partial_fit(rows(batch), Y[batch], classes=np.unique(Y))
    assert len(ours.history) == 3
    equal(ours.predict_proba(X), by_hand.predict_proba(PLAIN))


@entry_point("utils.estimator_html_repr", takes="nothing")
def test_html_names_steps_and_parameters():
    pipe = pipeline.make_pipeline(ModalityTransformer({"weak": PCA(2)}), make(alpha=0.5))
    html = utils.estimator_html_repr(pipe)
    for text in ("MultimodalInfoRegClassifier", "ModalityTransformer", "alpha"):
        assert text in html


@entry_point("utils.get_tags", takes="nothing")
def test_tags_say_classifier():
    assert utils.get_tags(make()).estimator_type == "classifier"


# Metadata routing


@entry_point("config_context", variant="weights and groups by routing")
def test_weights_and_groups_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        # groups is a parameter of fit too: that these are for the splitter only must be said.
        clf = make().set_fit_request(sample_weight=True, groups=False)
        clf.set_score_request(sample_weight=True)
        found = model_selection.cross_validate(
            clf,
            X,
            Y,
            cv=model_selection.GroupKFold(3),
            params={"sample_weight": WEIGHT, "groups": GROUPS},
            return_estimator=True,
        )
    for i, (train, test) in enumerate(folds(model_selection.GroupKFold(3), groups=GROUPS)):
        by_hand = fitted_on(train, sample_weight=WEIGHT[train])
        equal(found["estimator"][i].predict_proba(X), by_hand.predict_proba(PLAIN))
        score = by_hand.score(rows(test), Y[test], sample_weight=WEIGHT[test])
        assert found["test_score"][i] == score


@entry_point("config_context", variant="groups for the validation split")
def test_groups_are_routed_to_the_validation_split():
    seen = []

    class Recorder(ValidSplit):
        def __call__(self, dataset, y=None, groups=None):
            train, valid = super().__call__(dataset, y, groups)
            seen.append((groups, train.indices, valid.indices))
            return train, valid

    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(train_split=Recorder(model_selection.GroupKFold(3)))
        clf.set_fit_request(groups=True)
        model_selection.cross_validate(
            clf, X, Y, cv=model_selection.GroupKFold(3), params={"groups": GROUPS}
        )
    assert len(seen) == 3
    for (groups, train, valid), (outer, _) in zip(
        seen, folds(model_selection.GroupKFold(3), groups=GROUPS)
    ):
        equal(groups, GROUPS[outer])
        assert len(train) + len(valid) == len(outer)
        assert not set(groups[train]) & set(groups[valid])


@entry_point("config_context", variant="weights in a search over a pipeline")
def test_weights_are_routed_in_a_search_over_a_pipeline():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = pipeline.Pipeline([("scale", ModalityTransformer(scaler)), ("clf", clf)])
        if SKLEARN < parse_version("1.7"):
            pipe.set_score_request(sample_weight=True)  # later pipelines pass the request on
        search = model_selection.GridSearchCV(pipe, {"clf__lr": [1e-3, 0.02]}, cv=3)
        search.fit(X, Y, sample_weight=WEIGHT)
    for i, lr in enumerate([1e-3, 0.02]):
        for k, (train, test) in enumerate(folds()):
            scalers = {name: StandardScaler().fit(PLAIN[name][train]) for name in PLAIN}
            cut = [{n: scalers[n].transform(PLAIN[n][j]) for n in PLAIN} for j in (train, test)]
            by_hand = make(lr=lr).fit(cut[0], Y[train], sample_weight=WEIGHT[train])
            score = by_hand.score(cut[1], Y[test], sample_weight=WEIGHT[test])
            close(search.cv_results_[f"split{k}_test_score"][i], score)
    best = make(lr=search.best_params_["clf__lr"])
    best.fit(scaled_by_hand(), Y, sample_weight=WEIGHT)
    equal(search.predict_proba(X), best.predict_proba(scaled_by_hand()))


@entry_point("config_context", variant="weights in an incremental learning curve")
def test_weights_are_routed_in_an_incremental_learning_curve():
    if SKLEARN < parse_version("1.9"):
        pytest.skip("scikit-learn (1.6.1 at least) hands partial_fit the weights of all samples")
    with sklearn.config_context(enable_metadata_routing=True):
        # learning_curve asks for fit's request as well, though it calls partial_fit only.
        clf = make().set_fit_request(sample_weight=True).set_partial_fit_request(sample_weight=True)
        clf.set_score_request(sample_weight=True)
        _, _, test_scores = model_selection.learning_curve(
            clf,
            X,
            Y,
            cv=3,
            train_sizes=[30, 60],
            exploit_incremental_learning=True,
            params={"sample_weight": WEIGHT},
        )
    for j, (train, test) in enumerate(folds()):
        by_hand = make()
        for i, batch in enumerate(np.split(train, [30])):
            by_hand.partial_fit(
                rows(batch), Y[batch], classes=np.unique(Y), sample_weight=WEIGHT[batch]
            )
            score = by_hand.score(rows(test), Y[test], sample_weight=WEIGHT[test])
            close(test_scores[i, j], score)


@entry_point("config_context", variant="weights without a request are refused")
def test_weights_without_a_request_are_refused():
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
            model_selection.cross_validate(make(), X, Y, params={"sample_weight": WEIGHT})
