"""Parameters of all front ends: each is in the table, checked at fit, and stored untouched."""

import inspect
from numbers import Real
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone

from inforeg_sk import features
from inforeg_sk.features import MFCC, LogMel, LogSTFT, PadSequences, Tokens, VideoFrames
from inforeg_sk.utils.parameters import Interval, InvalidParameterError, Options


def no_tokenizer(texts, **settings):
    raise AssertionError("no text is tokenized here")


# Arguments that a transformer needs, and samples.
TRANSFORMERS = {
    LogSTFT: ({}, ["a.wav"]),
    LogMel: ({}, ["a.wav"]),
    MFCC: ({}, ["a.wav"]),
    VideoFrames: ({}, ["a.mp4"]),
    Tokens: ({"tokenizer": no_tokenizer}, ["a text"]),
    PadSequences: ({}, [[1.0, 2.0], [3.0]]),
}
# No parameter accepts these; each of the values below is accepted by some.
NEVER = [object(), "bogus", [], {"a": 1}, float("inf"), 2 + 1j]
NAN = float("nan")
SOMETIMES = [None, True, -1, 0, 1.5, NAN]
ACCEPTS = {
    "clip": [True],
    "deltas": [0],
    "duration": [1.5],
    "floor": [1.5],
    "fmax": [None, 1.5],
    "fmin": [0, 1.5],
    "follow_links": [True],
    "fps": [None, 1.5],
    "isolate": [True],
    "max_duration": [1.5],
    "n_jobs": [None, -1],
    "n_steps": [None],
    "normalize": [None],
    "random_state": [0],
    "ref": [1.5],
    "time_limit": [1.5],
    "top_db": [None, 0, 1.5],
    "value": [-1, 0, 1.5, NAN],
    "verbose": [True, 0],
    "waveform_rate": [None],
}
PARAMETERS = [
    pytest.param(kind, name, id=f"{kind.__name__}-{name}")
    for kind in TRANSFORMERS
    for name in inspect.signature(kind).parameters
]
OPTIONS = [
    pytest.param(kind, name, option, id=f"{kind.__name__}-{name}-{option}")
    for kind in TRANSFORMERS
    for name, constraints in kind._parameter_constraints.items()
    for constraint in constraints
    if isinstance(constraint, Options)
    for option in constraint.names
]


@pytest.fixture(autouse=True)
def extras(request):
    """The audio front ends look for their extra before anything else."""
    kind = request.node.callspec.params.get("kind") if hasattr(request.node, "callspec") else None
    if kind in (LogSTFT, LogMel, MFCC):
        pytest.importorskip("librosa")
        pytest.importorskip("soundfile")


def refusal(kind, name, value):
    """The error of a fit with this value."""
    arguments, X = TRANSFORMERS[kind]
    transformer = kind(**{**arguments, name: value})
    with pytest.raises(InvalidParameterError) as caught:
        transformer.fit(X)
    return str(caught.value)


def test_all_transformers_are_here():
    assert {kind.__name__ for kind in TRANSFORMERS} == set(features.__all__)


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_the_table_covers_the_parameters(kind):
    transformer = kind(**TRANSFORMERS[kind][0])
    assert set(kind._parameter_constraints) == set(transformer.get_params())


@pytest.mark.parametrize("kind, name", PARAMETERS)
def test_an_unacceptable_value_is_refused(kind, name):
    accepted = [repr(value) for value in ACCEPTS.get(name, [])]
    refused = [value for value in SOMETIMES if repr(value) not in accepted]
    for value in NEVER + refused:
        message = refusal(kind, name, value)
        assert message.startswith(f"The '{name}' parameter of {kind.__name__} must be ")
        assert f" Got {value!r}" in message


@pytest.mark.parametrize("kind, name", PARAMETERS)
def test_what_is_refused_elsewhere_is_accepted_here(kind, name):
    """Without this, the values above might be refused for another reason."""
    constraints = kind._parameter_constraints[name]
    for value in [*ACCEPTS.get(name, []), inspect.signature(kind).parameters[name].default]:
        if value is not inspect.Parameter.empty:
            assert any(constraint.accepts(value) for constraint in constraints)


@pytest.mark.parametrize("kind, name, option", OPTIONS)
def test_the_nearest_option_is_suggested(kind, name, option):
    assert f"Got {option[:-1]!r}; did you mean {option!r}?" in refusal(kind, name, option[:-1])


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_parameters_are_stored_untouched(kind):
    markers = {name: object() for name in inspect.signature(kind).parameters}
    transformer = kind(**markers)
    assert all(getattr(transformer, name) is marker for name, marker in markers.items())
    assert transformer.get_params() == markers


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_a_subclass_keeps_working(kind):
    own = type("Own", (kind,), {})
    arguments, X = TRANSFORMERS[kind]
    settings = {**kind(**arguments).get_params(), **arguments}
    again = clone(own(**settings))
    assert type(again) is own and again.get_params() == settings
    name = list(settings)[-1]
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of Own must be"):
        again.set_params(**{name: "bogus"}).fit(X)


class Louder(LogMel):
    """Log-mel spectrogram with a parameter of its own, and a check of two parameters."""

    _parameter_constraints: ClassVar = {
        **LogMel._parameter_constraints,
        "gain": [Interval(Real, 0)],
    }

    def __init__(self, sample_rate=8000, duration=0.5, *, n_mels=20, gain=2.0):
        super().__init__(sample_rate, duration, n_fft=256, hop_length=100, n_mels=n_mels)
        self.gain = gain

    def _features(self, sound):
        return super()._features(self.gain * sound)


def test_a_subclass_with_a_constructor_of_its_own():
    pytest.importorskip("librosa")
    pytest.importorskip("soundfile")
    louder = clone(Louder(gain=10.0).set_params(n_mels=16, sample_rate=4000))
    assert louder.get_params() == {
        "sample_rate": 4000,
        "duration": 0.5,
        "n_mels": 16,
        "gain": 10.0,
    }
    louder.waveform_rate = 4000
    sounds = np.random.default_rng(0).normal(size=(2, 2000)) / 100
    plain = LogMel(4000, 0.5, n_fft=256, hop_length=100, n_mels=16, waveform_rate=4000)
    np.testing.assert_allclose(
        louder.fit_transform(sounds), plain.fit_transform(sounds) + 20, atol=1e-3
    )
    with pytest.raises(InvalidParameterError, match="The 'gain' parameter of Louder must be"):
        louder.set_params(gain=-1).fit(sounds)
