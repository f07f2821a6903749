"""One table of parameters a class, one grammar of messages, one test over all of them."""

from numbers import Integral, Real

import numpy as np
import pytest

from inforeg_sk import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    InfoReg,
    Joint,
    ModalityTransformer,
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalInfoRegClassifierCV,
    MultimodalInfoRegRegressor,
    MultimodalInfoRegRegressorCV,
    MultimodalRegressor,
)
from inforeg_sk.utils.parameters import (
    ByName,
    Instance,
    Interval,
    InvalidParameterError,
    IsCallable,
    IsNaN,
    IsNone,
    Options,
    SequenceOf,
    Subclass,
    check_parameter,
    check_parameters,
)

inf, nan = float("inf"), float("nan")


@pytest.mark.parametrize(
    "constraint, good, bad",
    [
        (Interval(Integral, 1), [1, 7, np.int64(3)], [0, -1, 1.0, True, "1", None, nan]),
        (IsNaN(), [nan, np.float32(nan)], [0, inf, None, "nan", True]),
        (Interval(Integral, -1, -1, "both"), [-1], [0, -2]),
        (Interval(Real, 0, 1), [0, 0.5, np.float32(0.9)], [1, 1.0, -0.1, nan, inf, True, "a"]),
        (Interval(Real, 0, 1, "neither"), [0.5], [0, 1]),
        (Interval(Real, 0, 1, "both"), [0, 1], [1.1]),
        (Interval(Real, 0), [0, 1e300], [inf, nan, -1e-300, 10**400]),
        (Interval(Real, infinite=True), [inf, -inf, 0], [nan, None]),
        (Options("a", "b"), ["a"], ["c", None, 1, ["a"]]),
        (Instance(dict, list), [{}, []], [(), None, True]),
        (Instance(bool), [True], [1, 0, None]),
        (Subclass(Exception), [ValueError, Exception], [int, ValueError()]),
        (IsCallable(), [len, int], [1, None]),
        (IsNone(), [None], [0, False, ""]),
        (SequenceOf(Interval(Integral, 1)), [[1], (2, 3), np.array([4])], [[], [0], "12", {1: 2}]),
        (ByName(Interval(Real, 0)), [{}, {"a": 1}], [[1], None]),
    ],
)
def test_constraints_accept_what_they_say(constraint, good, bad):
    assert str(constraint)
    assert all(constraint.accepts(value) for value in good)
    assert not any(constraint.accepts(value) for value in bad)


def test_the_message_has_parameter_owner_accepted_values_and_what_was_got():
    accepted = [Interval(Real, 0), ByName(Interval(Real, 0))]
    with pytest.raises(InvalidParameterError) as caught:
        check_parameter("alpha", -1, accepted, "InfoReg")
    assert str(caught.value) == (
        "The 'alpha' parameter of InfoReg must be a float in [0, inf) or a dict of these by "
        "modality. Got -1."
    )
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, TypeError)
    with pytest.raises(ValueError, match=r"'alpha\['audio'\]' parameter.*Got 'x'"):
        check_parameter("alpha", {"text": 1, "audio": "x"}, accepted, "InfoReg")
    with pytest.raises(ValueError, match="Got 'gradiant'; did you mean 'gradient'"):
        check_parameter("pull", "gradiant", [Options("gradient", "decoupled")], "InfoReg")


def tiny(cls):
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(12, 2)), "b": rng.normal(size=(12, 2))}
    return X, (np.arange(12) % 2 if "Classifier" in cls.__name__ else rng.normal(size=12))


ESTIMATORS = [
    MultimodalClassifier,
    MultimodalInfoRegClassifier,
    MultimodalRegressor,
    MultimodalInfoRegRegressor,
    ModalityTransformer,
    MultimodalInfoRegClassifierCV,
    MultimodalInfoRegRegressorCV,
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
]
# Checked together with the data, the network or one another, each with a message of its own.
ELSEWHERE = {
    "method",
    "modalities",
    "encoders",
    "fusion",
    "criterion",
    "random_state",
    "dtype",
    "device",
    "transformers",
    "estimator",
    "cv",
    "scoring",
}
CASES = [(cls, name) for cls in ESTIMATORS for name in cls._parameter_constraints]


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_table_covers_every_parameter(cls):
    assert set(cls().get_params(deep=False)) - ELSEWHERE == set(cls._parameter_constraints)


@pytest.mark.parametrize("cls, name", CASES, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("value", [object(), "bogus", -7.5])
def test_a_wrong_value_is_refused_by_fit_in_one_grammar(cls, name, value):
    constraints = cls._parameter_constraints[name]
    if any(constraint.accepts(value) for constraint in constraints):
        pytest.skip("accepted")
    match = rf"The '{name}' parameter of {cls.__name__} must be .*Got "
    with pytest.raises(InvalidParameterError, match=match):
        cls(**{name: value}).fit(*tiny(cls))


@pytest.mark.parametrize("cls", [InfoReg, Joint])
def test_methods_check_their_settings_from_a_table(cls):
    made = cls()
    assert set(made.get_params()) <= set(cls._parameter_constraints)
    check_parameters(made)
    for name in made.get_params():
        broken = cls(**{name: object()})
        with pytest.raises(InvalidParameterError, match=rf"'{name}' parameter of {cls.__name__}"):
            broken.check(("a", "b"))
        with pytest.raises(InvalidParameterError, match=rf"'{name}' parameter of {cls.__name__}"):
            MultimodalClassifier(broken).fit(*tiny(MultimodalClassifier))


@pytest.mark.parametrize("cls", ESTIMATORS[:4])
def test_parameters_are_stored_untouched_and_checked_by_fit_only(cls):
    marks = {name: object() for name in cls._parameter_constraints}
    params = cls(**marks).get_params(deep=False)
    assert all(params[name] is mark for name, mark in marks.items())
