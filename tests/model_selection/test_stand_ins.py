"""What scikit-learn's code gets in place of an estimator while a search runs."""

import pickle

import numpy as np
import pytest
import sklearn
from entry_points import X, Y, make
from sklearn.base import clone, is_classifier
from sklearn.utils.metadata_routing import get_routing_for_object

from inforeg_sk.model_selection.fits import FittedOne
from inforeg_sk.model_selection.stand_ins import Clones, LastStep, Trained


def test_clones_are_what_is_ready_and_then_clones_as_ever():
    clones = Clones(make(lr=0.5))
    hooked = clones.attach()
    clones.ready.extend(["first", "second"])
    assert [clone(hooked), clone(hooked)] == ["first", "second"]
    made = clone(hooked)
    assert type(made) is type(make()) and made.lr == 0.5
    assert made is not clone(hooked) and clone(made) is not made
    # The hook is no parameter, and goes.
    assert hooked.get_params().keys() == make().get_params().keys()
    clones.ready.append("third")
    clones.detach(hooked)
    assert type(clone(hooked)) is type(make())


def test_what_is_ready_does_not_go_to_other_processes():
    clones = Clones(make())
    hooked = clones.attach()
    clones.ready.append(np.zeros(10**6))
    sent = pickle.dumps(hooked)
    assert len(sent) < 10**5
    assert type(clone(pickle.loads(sent))) is type(make())


@pytest.mark.parametrize("sent", [False, True])
def test_fit_turns_it_into_the_trained_estimator(sent):
    fitted = make().fit(X, Y)
    one = Trained(FittedOne(fitted, None, 0.0), {"alpha": 3.0}, make())
    assert is_classifier(one)
    one = pickle.loads(pickle.dumps(one)) if sent else one
    one._parent_callback_ctx = "of scikit-learn 1.9, taken away after fit"
    one.set_params(alpha=3.0).fit(None, None)
    del one._parent_callback_ctx
    assert type(one) is type(fitted) and vars(one).keys() == vars(fitted).keys()
    np.testing.assert_array_equal(one.predict_proba(X), fitted.predict_proba(X))
    assert clone(one.set_params(alpha=1.0)).alpha == 1.0


def _divide():
    return 1 / 0


def failed():
    try:
        _divide()
    except ZeroDivisionError as error:
        return FittedOne(None, error, 0.0)


def test_fit_raises_the_error_of_the_training_with_its_traceback():
    one = failed()
    texts = []
    for trained in [Trained(one, {}, make()), Trained(one, {}, make())]:
        with pytest.raises(ZeroDivisionError) as caught:
            trained.set_params().fit(X, Y)
        texts.append([str(line) for line in caught.traceback])
    assert texts[0] == texts[1] and "_divide" in texts[0][-1]


def test_in_another_process_the_traceback_is_there_as_text():
    sent = Trained(failed(), {}, make())
    for _ in range(2):  # there and back
        sent = pickle.loads(pickle.dumps(sent))
    with pytest.raises(ZeroDivisionError) as caught:
        sent.fit(X, Y)
    assert "in _divide" in str(caught.value.__cause__)


@pytest.mark.parametrize("got", [{}, {"alpha": 1.0, "lr": 1.0}, {"alpha": 2.0}, {"lr": 1.0}])
def test_parameters_of_another_candidate_are_an_error(got):
    with pytest.raises(RuntimeError, match="in another order than they were trained"):
        Trained(failed(), {"alpha": 1.0}, make()).set_params(**got)


def test_parameters_that_cannot_be_compared_pass():
    parameters = {"alpha": np.nan, "encoders": {"a": np.ones(3)}, "lr": 0.1}
    trained = Trained(failed(), parameters, make())
    assert trained.set_params(**clone(parameters, safe=False)) is trained


def test_the_last_step_keeps_what_it_is_given_and_asks_for_what_the_step_does():
    with sklearn.config_context(enable_metadata_routing=True):
        step = make().set_fit_request(sample_weight="cost")
        last = LastStep(step)
        asked = str(get_routing_for_object(last))
    assert asked == str(get_routing_for_object(step)) and "cost" in asked
    assert is_classifier(last)
    assert last.fit(1, 2, cost=3).given == (1, 2, {"cost": 3})
