"""early_stopping, validation_data: what is held out, when training stops, what is kept."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold
from skorch.callbacks import Callback
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split

from inforeg_sk import (
    ModalityDict,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegRegressor,
)

rng = np.random.default_rng(0)
N = 120
Y = np.repeat(["a", "b", "c"], [80, 30, 10])[rng.permutation(N)]
SIGNAL = (Y == "b") + 2.0 * (Y == "c")
X = ModalityDict(
    {
        "text": rng.normal(size=(N, 6)) + SIGNAL[:, None],
        "audio": rng.normal(size=(N, 4)) - SIGNAL[:, None],
    }
)
GROUPS = np.arange(N) // 6


class Parts(Callback):
    """Keeps the rows of the parts, by their values."""

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.train_, self.valid_ = (
            [int(np.flatnonzero(X["text"][:, 0] == v)[0]) for v in part.X["text"][:, 0]]
            for part in (dataset_train, dataset_valid)
        )


def make(kind=MultimodalInfoRegClassifier, **settings):
    defaults = dict(early_stopping=True, lr=0.01, batch_size=16, max_epochs=60, random_state=0)
    return kind(**{**defaults, **settings})


def fit(model=None, y=Y, **arguments):
    model = make(n_iter_no_change=4) if model is None else model
    model.set_params(callbacks=[("parts", Parts())])
    model.fit(X, y, **arguments)
    parts = dict(model.callbacks_)["parts"]
    return model, parts.train_, parts.valid_


def test_a_tenth_is_held_out_by_classes():
    _, train, valid = fit()
    assert sorted([*train, *valid]) == list(range(N)) and len(valid) == 12
    assert {c: int((Y[valid] == c).sum()) for c in "abc"} == {"a": 8, "b": 3, "c": 1}


def test_the_share_is_a_parameter_and_random_state_decides_which():
    _, _, valid = fit(make(validation_fraction=0.25, max_epochs=1))
    assert len(valid) == 30
    assert fit(make(validation_fraction=0.25, max_epochs=1))[2] == valid
    assert fit(make(validation_fraction=0.25, max_epochs=1, random_state=1))[2] != valid


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3, 0.6])
def test_no_group_is_on_both_sides(fraction):
    _, train, valid = fit(make(validation_fraction=fraction, max_epochs=1), groups=GROUPS)
    assert sorted([*train, *valid]) == list(range(N))
    assert not set(GROUPS[train]) & set(GROUPS[valid])
    assert set(Y[train]) == {"a", "b", "c"}


def test_random_state_decides_which_groups_are_held_out():
    # Of few groups: folds are laid out by size, so that shuffling alone changes little.
    groups = np.repeat([0, 1, 2, 3], [45, 35, 25, 15])
    held = []
    for seed in range(12):
        _, train, valid = fit(make(max_epochs=1, random_state=seed), groups=groups)
        assert not set(groups[train]) & set(groups[valid]) and set(Y[train]) == set(Y)
        held.append(tuple(sorted(set(groups[valid]))))
    assert len(set(held)) == 4
    # The fold that has all of a class is not the one.
    groups = np.where(Y == "c", 0, 1 + np.arange(N) % 3)
    for seed in range(6):
        _, train, _ = fit(make(max_epochs=1, random_state=seed), groups=groups)
        assert "c" in Y[train]


def test_groups_of_a_regressor():
    model = make(MultimodalInfoRegRegressor, max_epochs=1)
    _, train, valid = fit(model, SIGNAL, groups=GROUPS)
    assert valid and not set(GROUPS[train]) & set(GROUPS[valid])


def test_training_stops_after_epochs_without_improvement_and_keeps_the_best():
    model, _, valid = fit()
    losses = np.array(model.history[:, "valid_loss"])
    assert len(losses) < 60
    # The rule, stated again.
    best, at = np.inf, None
    for epoch, loss in enumerate(losses):
        if loss < best - 1e-4:
            best, at = loss, epoch
        if epoch - at == 4:
            break
    assert (at, len(losses)) == (model.best_epoch_, epoch + 1)
    proba = model.predict_proba(X[valid])
    assert np.isclose(log_loss(Y[valid], proba, labels=["a", "b", "c"]), losses[at], atol=1e-6)


@pytest.mark.parametrize("kind", [MultimodalInfoRegClassifier, MultimodalInfoRegRegressor])
def test_the_model_equals_a_fit_that_is_stopped_by_hand(kind):
    y = Y if kind is MultimodalInfoRegClassifier else SIGNAL
    model, train, valid = fit(make(kind, n_iter_no_change=4), y, groups=GROUPS)
    assert len(model.history) > model.best_epoch_ + 1

    def same_parts(dataset, y, groups=None):
        return torch.utils.data.Subset(dataset, train), torch.utils.data.Subset(dataset, valid)

    by_hand = make(
        kind, early_stopping=False, train_split=same_parts, max_epochs=model.best_epoch_ + 1
    ).fit(X, y)
    for name, value in by_hand.module_.state_dict().items():
        assert torch.equal(model.module_.state_dict()[name], value), name
    assert model.score(X, y) == by_hand.score(X, y)


def test_validation_data_are_looked_at_and_not_trained_on():
    train, valid = np.arange(90), np.arange(90, N)
    model = make(early_stopping=False, max_epochs=3)
    model.fit(X[train], Y[train], validation_data=(X[valid], Y[valid]))
    alone = make(early_stopping=False, max_epochs=3).fit(X[train], Y[train])
    for name, value in alone.module_.state_dict().items():
        assert torch.equal(model.module_.state_dict()[name], value), name
    expected = log_loss(Y[valid], model.predict_proba(X[valid]), labels=["a", "b", "c"])
    assert np.isclose(model.history[-1, "valid_loss"], expected, atol=1e-6)
    assert model.history[-1, "valid_acc"] == model.score(X[valid], Y[valid])


def test_validation_data_equal_skorchs_predefined_split():
    train, valid = np.arange(90), np.arange(90, N)
    split = predefined_split(Dataset(X[valid], Y[valid]))
    ours = make(n_iter_no_change=3, class_weight="balanced")
    ours.fit(X[train], Y[train], validation_data=[dict(X[valid]), Y[valid].tolist()])
    theirs = make(n_iter_no_change=3, class_weight="balanced", train_split=split)
    theirs.fit(X[train], Y[train])
    assert ours.history[:, "valid_loss"] == theirs.history[:, "valid_loss"]
    assert ours.best_epoch_ == theirs.best_epoch_


def test_weights_of_validation_data():
    train, valid = np.arange(90), np.arange(90, N)
    weight = rng.integers(0, 3, size=len(valid)).astype(float)
    model = make(early_stopping=False, max_epochs=2, batch_size=7)
    model.fit(X[train], Y[train], validation_data=(X[valid], Y[valid], weight))
    proba = model.predict_proba(X[valid])
    expected = log_loss(Y[valid], proba, sample_weight=weight, labels=["a", "b", "c"])
    assert np.isclose(model.history[-1, "valid_loss"], expected, atol=1e-6)


def test_warm_start_holds_out_the_same_samples_again():
    model, _, valid = fit(make(max_epochs=2, warm_start=True))
    assert fit(model)[2] == valid
    assert len(model.history) == 4


def test_search_clone_and_pickle():
    search = GridSearchCV(make(max_epochs=3), {"alpha": [0, 1]}, cv=GroupKFold(2))
    search.fit(X, Y, groups=GROUPS)
    assert 0 <= search.best_estimator_.best_epoch_ < 3
    model = pickle.loads(pickle.dumps(search.best_estimator_))
    assert model.best_epoch_ == search.best_estimator_.best_epoch_
    assert np.array_equal(model.predict(X), search.predict(X))
    assert clone(model).get_params()["early_stopping"] is True


def test_missing_modalities_and_weights_train_with_early_stopping():
    holes = {name: value.copy() for name, value in X.items()}
    holes["audio"][::4] = np.nan
    model = make(missing="allow", n_iter_no_change=3)
    model.fit(holes, Y, sample_weight=np.linspace(0.5, 2, N), groups=GROUPS)
    assert np.isfinite(model.history[:, "valid_loss"]).all()


# Bad input


def test_where_early_stopping_cannot_act_it_is_refused():
    with pytest.raises(ValueError, match=r"'early_stopping'.*False in partial_fit"):
        make().partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"'early_stopping'.*callbacks='disable'"):
        make(callbacks="disable").fit(X, Y)
    with pytest.raises(AttributeError, match=r"best_epoch_ after a fit with early_stopping=True"):
        make(early_stopping=False, max_epochs=1).fit(X, Y).best_epoch_


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(groups=np.zeros(N)), "by classes and groups.*one group"),
        (dict(y=np.r_[["d"], Y[1:]]), "by classes.*least populated class"),
    ],
    ids=["one group", "a single sample of a class"],
)
def test_splits_that_are_not_possible_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"early_stopping=True of .*{message}"):
        make().fit(X, **{"y": Y, **arguments})


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((X,), TypeError, r"must be a tuple \(X, y\).* Got tuple"),
        (X, TypeError, r"must be a tuple \(X, y\).* Got ModalityDict"),
        ((X, None), ValueError, "validation_data cannot be used: y is None"),
        ((X, np.full(N, "z")), ValueError, "validation_data cannot be used: .*'z'"),
        (({"text": X["text"]}, Y), ValueError, "validation_data cannot be used: .*'audio'"),
        ((X, Y[1:]), ValueError, "validation_data cannot be used: .*119"),
    ],
)
def test_validation_data_that_cannot_be_used_are_named(given, error, message):
    fitted = make(max_epochs=1).fit(X, Y)
    before = fitted.predict_proba(X)
    with pytest.raises(error, match=message):
        fitted.fit(X, Y, validation_data=given)
    assert np.array_equal(fitted.predict_proba(X), before)  # the model before is kept


def test_two_validation_parts_are_refused():
    model = make(train_split=ValidSplit(3))
    with pytest.raises(ValueError, match="validation_data, and the 'train_split'"):
        model.fit(X, Y, validation_data=(X, Y))


def test_a_monitor_may_wait_for_validation_data():
    from skorch.callbacks import EarlyStopping

    model = MultimodalClassifier(callbacks=[EarlyStopping()], max_epochs=2, random_state=0)
    with pytest.raises(ValueError, match="validation_data in fit"):
        model.fit(X, Y)
    assert len(model.fit(X, Y, validation_data=(X, Y)).history) == 2
