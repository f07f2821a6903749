"""`check_method`: what `sklearn.utils.estimator_checks.check_estimator` is for estimators."""

from sklearn.base import clone

from ..methods.base import BalancingMethod
from .method_checks import CHECKS

__all__ = ["check_method", "method_checks"]


def check_method(method, *, expected_failed_checks=None, on_fail="raise"):
    """Run a balancing method through all that it must pass to work in any of the estimators.

    Parameters
    ----------
    method : BalancingMethod
        An instance, with settings that make it do something in a few epochs.
    expected_failed_checks : dict of str to str, default=None
        Names of checks that the method need not pass, with the reason. They are run all the same.
    on_fail : {"raise", None}, default="raise"
        Raise at the first failure that is not expected, or only report it.

    Returns
    -------
    list of dict
        For each check its ``check_name``, its ``status`` ("passed", "failed" or "xfail") and the
        ``exception``, or None.

    Raises
    ------
    AssertionError
        If a check fails, with the name of the check and what to mend.
    TypeError, ValueError
        If `method` is not an instance of BalancingMethod, or a name of a check is unknown.

    See Also
    --------
    BalancingMethod : The hooks.

    Examples
    --------
    >>> from inforeg_sk import Joint
    >>> from inforeg_sk.testing import check_method
    >>> {result["status"] for result in check_method(Joint())}
    {'passed'}
    """
    if not isinstance(method, BalancingMethod):
        raise TypeError(f"method={method!r}: must be an instance of a BalancingMethod subclass.")
    expected = expected_failed_checks or {}
    if unknown := set(expected) - {check.__name__ for check in CHECKS}:
        raise ValueError(f"expected_failed_checks: there is no check {sorted(unknown)[0]!r}.")
    results = []
    for name, check in method_checks(method):
        failure = None
        try:
            check()
        except Exception as error:
            if on_fail == "raise" and name not in expected:
                raise AssertionError(f"{type(method).__name__}, {name}: {error}") from error
            failure = error
        status = "passed" if failure is None else "xfail" if name in expected else "failed"
        results.append({"check_name": name, "status": status, "exception": failure})
    return results


def method_checks(method):
    """The checks of `check_method` as pairs of name and function, such as for parametrized tests.

    Parameters
    ----------
    method : BalancingMethod

    Returns
    -------
    list of tuple of (str, callable)
    """

    def bind(check):
        return lambda: check(clone(method))

    return [(check.__name__, bind(check)) for check in CHECKS]
