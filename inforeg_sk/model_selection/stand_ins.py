"""Objects that stand for an estimator while scikit-learn's code handles it.

scikit-learn's searches clone an estimator for each fit, set parameters, call ``fit``, and score.
`Clones` has ``sklearn.base.clone`` return, in order, what was trained beforehand, each in a
`Trained`, whose ``fit`` makes it the trained estimator. So the code that scores, collects results
and handles failures is scikit-learn's own, of whatever version. `LastStep` stands for the last step
of a Pipeline, and keeps what this would be trained on.
"""

import traceback
from collections import deque

from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

__all__ = ["Clones", "LastStep", "Trained"]

# The attribute that `sklearn.base.clone` asks for, also if it is an instance's.
_HOOK = "__sklearn_clone__"


class Clones:
    """What ``sklearn.base.clone`` of an estimator returns while a search runs.

    First what `ready` holds, in order; when that is used up, clones as ever.

    Parameters
    ----------
    estimator : estimator
        Not fitted, the search's own.
    """

    def __init__(self, estimator):
        self.estimator = estimator
        self.ready = deque()

    def attach(self):
        """Return a clone of the estimator that is itself cloned by this object."""
        made = clone(self.estimator)
        vars(made)[_HOOK] = self  # past skorch's __setattr__
        return made

    def __call__(self):
        return self.ready.popleft() if self.ready else clone(self.estimator)

    def __reduce__(self):
        # To another process goes what was handed out, not what is still to come.
        return Clones, (self.estimator,)

    @staticmethod
    def detach(estimator):
        """Have an estimator cloned as ever again."""
        vars(estimator).pop(_HOOK, None)


class Trained:
    """An estimator trained beforehand; ``fit`` turns this object into it, or raises its error.

    Parameters
    ----------
    one : FittedOne
        What came of its training.
    parameters : dict
        The candidate that it was trained for.
    like : estimator
        Not fitted, of the same kind.
    """

    def __init__(self, one, parameters, like):
        self._one, self._parameters, self._like = one, parameters, like
        # One error may be that of several: each raises it with the traceback that it has now.
        self._trace = getattr(one.error, "__traceback__", None)

    def set_params(self, **parameters):
        """Check that these are the parameters that it was trained with."""
        if not _are_same(parameters, self._parameters):
            raise RuntimeError(
                "scikit-learn scores its candidates in another order than they were trained in "
                f"(got {parameters}, trained {self._parameters}). Please report this with your "
                "version of scikit-learn, and use its own search meanwhile."
            )
        return self

    def fit(self, X, y=None, **fit_params):
        """Become the trained estimator."""
        one, trace = self._one, self._trace
        if isinstance(trace, str):
            raise one.error from RuntimeError(trace)
        if one.error is not None:
            raise one.error.with_traceback(trace)
        for name in ("_one", "_parameters", "_like", "_trace"):
            vars(self).pop(name)
        state = vars(one.estimator)
        state.update(vars(self))  # what scikit-learn's callbacks have set
        self.__dict__, self.__class__ = state, type(one.estimator)
        return self

    def __sklearn_tags__(self):
        return get_tags(self._like)

    def __getstate__(self):
        # A traceback does not go to another process; its text does.
        state, error = dict(vars(self)), self._one.error
        if error is not None and not isinstance(self._trace, str):
            lines = traceback.format_exception(type(error), error, self._trace)
            state["_trace"] = "\n" + "".join(lines)
        return state


class LastStep:
    """The last step of a Pipeline that keeps what it is given to train on.

    Parameters
    ----------
    step : estimator
        The step that it stands for, whose requests of metadata count.

    Attributes
    ----------
    given : tuple of X, y and dict of further arguments
        After ``fit``.
    """

    def __init__(self, step):
        self.step = step
        self.given = None

    def fit(self, X, y=None, **fit_params):
        """Keep the arguments."""
        self.given = (X, y, fit_params)
        return self

    def get_metadata_routing(self):
        """The requests of the step."""
        return get_routing_for_object(self.step)

    def __sklearn_tags__(self):
        return get_tags(self.step)


def _are_same(got, expected):
    """Whether dicts of parameters have the same names, and plain values are equal."""
    return got.keys() == expected.keys() and all(
        value == expected[name] or value != value
        for name, value in got.items()
        if isinstance(value, bool | int | float | str)
    )
