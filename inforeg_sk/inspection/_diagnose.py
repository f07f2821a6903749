"""`diagnose`: is a modality starving, how badly, and what fixes it?"""

from collections.abc import Iterable
from numbers import Integral
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.metrics import get_scorer_names

from .._version import __version__
from ..ensemble.experts import rows_with
from ..utils.callers import warn_caller
from ..utils.parameters import Instance, Interval, IsNone, check_parameter
from ..utils.suggestions import did_you_mean
from ._alone import alone_estimator
from ._compared import (
    BEST_SINGLE,
    LATE_FUSION,
    LEVELS,
    MAJORITY,
    POOL,
    RIVALS,
    compared_networks,
    describe,
    is_additive,
    late_fusion_template,
    name_of_given,
    pool_experts,
    rival_estimator,
    subset_row,
)
from ._measure import Measuring
from ._report import DiagnosisReport
from ._style import is_share, name_of_scoring
from ._task import Task, make_folds

__all__ = ["diagnose"]

_OWNER = "diagnose"
# Scorers of two classes, and what takes more.
_OF_MORE_CLASSES = {"roc_auc": "roc_auc_ovr"} | {
    name: f"{name}_macro" for name in ("f1", "precision", "recall", "jaccard")
}


def diagnose(
    estimator,
    X,
    y,
    *,
    cv=5,
    groups=None,
    scoring=None,
    seeds=3,
    methods="default",
    rivals=RIVALS,
    n_jobs=None,
    verbose=0,
):
    """Is a modality starving, how badly, and what fixes it?

    Everything is measured on held-out samples, over folds and seeds: the network as given, each
    modality trained alone, probes of the encoders, what a user would do without balancing, and the
    same network by other methods. A verdict is given only where its interval excludes 0.

    Parameters
    ----------
    estimator : MultimodalClassifier, MultimodalRegressor or Pipeline
        One of these, a subclass, or a Pipeline that ends in one; it is not changed. Steps in front
        are fitted on each training part anew.
    X : as in ``fit`` of the estimator
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    cv : int, splitter or iterable of splits, default=5
        An int spreads classes evenly, keeps `groups` whole, and makes other folds with each seed.
        A splitter is asked once, and all seeds have its folds. One split, such as
        ``[(train, test)]``, will do: then see Notes on intervals.
    groups : array-like of shape (n_samples,), default=None
        What no fold cuts, such as the persons that samples are of.
    scoring : str, callable or None, default=None
        A scorer's name or ``scorer(estimator, X, y)``, for all rows alike; larger is better. None
        is accuracy, or R^2 of a regressor.
    seeds : int or sequence of int, default=3
        Seeds, of folds (where `cv` is an int) and networks; an int n stands for ``range(n)``. In
        the place of its `random_state` each network gets a number made of the seed and the fold,
        in ``report.data["network_seeds"]``: networks of one fold share it, those of others do not.
    methods : "default", sequence of str, or dict of str to estimator or dict, default="default"
        What the network as given is compared with. Names are those of methods ("joint", "inforeg",
        "ogm-ge", ...), "joint*" (unimodal losses: InfoReg with alpha 0), and "mlp" or "concat" (the
        same network with this fusion). A dict has estimators that take a mapping of modalities, or
        parameters of the network: ``{"wide": {"encoders__hidden": 128}}``. "default" is "joint",
        "joint*", "inforeg", and "mlp" ("concat" if the network's fusion can interact), without what
        is given. ``()`` compares none.
    rivals : sequence of str, default=all of them
        Rows beside the networks: "majority", "best single", "linear on all", "stacked linear",
        "late fusion", "evidence pool". The report names those left out.
    n_jobs : int or None, default=None
        Processes among which fits, rivals and measures are divided, by joblib.
    verbose : int, default=0
        1 prints the number of fits and how long the networks take at most, and progress bars.

    Returns
    -------
    DiagnosisReport

    Raises
    ------
    TypeError, ValueError
        If a parameter is not what it must be, there is only one modality, a modality or a column of
        one equals the target, a training part lacks a class or a modality, or the network as given
        cannot be fitted or scored in some fold, which is then named.

    Warns
    -----
    UserWarning
        If a rival or a compared method fails: it is left out, and the report names it with its
        error. If a regressor gets whole numbers that look like classes.

    Notes
    -----
    **Cost.** With J folds times seeds, M modalities and K methods: J (1 + M + K) fits of networks,
    trained as one where `inforeg_sk.model_selection.BatchedGridSearchCV` would, and 4 J more in the
    evidence pools; ``rivals=`` without "evidence pool" saves these. All networks that are trained
    as one are kept until they are measured.

    **Intervals** of paired differences are those of the corrected resampled t (Nadeau and Bengio,
    2003), which knows that training parts overlap; those of verdicts by Holm's adjustment.
    If all seeds have the same folds, a fold counts once, with its mean over the seeds. With one
    split they are percentiles of bootstrap resamples of the test samples, or of its groups, the
    same for all rows and measures: 1,000, or 200 a modality where these are more. They say nothing
    of the chance of the training part. Scores of `inforeg_sk.functional.COUNT_SCORES` take no time;
    any other is computed anew on each resample.

    **Verdicts**, with PA, PJ and P0 the scores of linear probes of an encoder trained alone, as
    given, and untrained (`learned_share`), and "learned" what PA is above guessing:

    - *starving encoder*: PJ < PA, PA > P0, and PA - PJ is at least 5 % of what is learned;
    - *neglecting head*: the modality's part of the outputs (`score_by_modality`, after a factor
      that is fitted on the training part) scores less than PJ, by more than alone, and by at least
      15 % of what is learned; and its Shapley value is below three quarters of its fair one, which
      divides what all modalities gain as what the PJ are above guessing;
    - *adds nothing*: shuffled rows and the Shapley value cost less than 10 % of what all modalities
      gain over guessing, and alone it is not above guessing;
    - *only together*: the interacting network beats the additive one, and more than half of its
      gain over guessing is lost by the additive network and by late fusion; then nothing is said to
      starve or to add nothing;
    - *loses to late fusion, best single, linear*: these rows score more;
    - *not told from guessing*: the interval of its gain over guessing includes 0, so that nothing
      is said of its encoders;
    - *nothing starves*: of all modalities PA - PJ is below 10 % of what is learned, or PA - P0 is
      (with their whole intervals), or PA is above neither P0 nor guessing; and of one at least a
      share or such a bound can be told. Otherwise: *cannot be told*, with a rough number of samples
      that would do, or, of fewer than 5 folds times seeds, how to run it again.

    "Less" and "more" are said where the interval excludes 0, "not above" where it does not; all
    questions but those of the last two kinds count in Holm's adjustment.

    **Best single** is in each fold the modality that is best on the other folds, and with one split
    in each half of the test part the one that is best in the other half, so that none is picked by
    its own test samples. Samples that lack it get the prior of the classes or the mean.

    **Recommendation.** The row of the best mean score, or the simplest one within one standard
    error of it (of the paired difference), in this order: majority, linear on all, stacked linear,
    best single, late fusion, the network without some modalities, as given or in joint training,
    "joint*", other methods, "mlp", evidence pool.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import diagnose
    >>> X, y = make_multimodal_classification(90, random_state=0)
    >>> network = MultimodalClassifier(max_epochs=3)
    >>> report = diagnose(
    ...     network, X, y, cv=2, seeds=1, methods=["joint*"], rivals=["majority", "late fusion"]
    ... )
    >>> sorted(report.scores_)
    ['joint', 'joint*', 'late fusion', 'majority']
    """
    begun = perf_counter()
    _check(scoring, n_jobs, verbose)
    seeds, rivals = _seeds(seeds), _rivals(rivals)
    task = Task.of(estimator, X)
    rows = compared_networks(task.network, methods)
    folds, y = make_folds(task, X, y, groups, cv, seeds)
    if task.classifies:
        _check_two_classes(scoring, len(np.unique(y)))
    names = folds.folds[0].names
    if len(names) < 2:
        raise ValueError(
            f"diagnose compares modalities, and X has one only, {names[0]!r}: give at least two, "
            "as a dict of arrays, or as columns of a table with modalities= of the estimator."
        )
    given = name_of_given(task.network)
    if POOL in rivals:
        task = task._replace(pool_experts=pool_experts(task.network, folds.folds[0].X_train))
    measuring = Measuring(task, folds, names, scoring, n_jobs, verbose)
    measuring.say_cost(rows, rivals)
    measuring.networks(rows, given, rivals)
    measuring.rivals([name for name in rivals if name not in (BEST_SINGLE, LATE_FUSION)])
    report = _report(task, folds, measuring, rows, rivals, given, scoring, y)
    dropped = [v.modality for v in report.verdicts_ if v.kind == "adds nothing"]
    left = tuple(name for name in names if name not in dropped)
    if dropped and len(left) >= 2:
        name = f"without {', '.join(dropped)}"
        row = subset_row(task.network, name, tuple(dropped))
        measuring.further(row, left)
        rows = [*rows, row]
        report = _report(task, folds, measuring, rows, rivals, given, scoring, y)
    report.data["seconds"] = perf_counter() - begun
    report.data["estimator"] = repr(estimator)
    for name, error in measuring.failed.items():
        warn_caller(f"diagnose leaves {name!r} out, which failed: {error}")
    by_name = {row.name: row for row in rows}
    report._recommendation = _recommended(report, task, names, by_name, left)
    report.data["recommended_estimator"] = repr(report._recommendation)
    return report


# Parameters


def _check(scoring, n_jobs, verbose):
    if isinstance(scoring, str):
        known = get_scorer_names()
        if scoring not in known:
            raise ValueError(
                "The 'scoring' parameter of diagnose must be the name of one of scikit-learn's "
                f"scorers. Got {scoring!r}{did_you_mean(scoring, known)}"
            )
    elif scoring is not None and not callable(scoring):
        raise TypeError(
            "The 'scoring' parameter of diagnose must be the name of a scorer, a callable or None. "
            f"Got {scoring!r}."
        )
    check_parameter("n_jobs", n_jobs, [Interval(Integral), IsNone()], _OWNER)
    check_parameter("verbose", verbose, [Interval(Integral, 0), Instance(bool)], _OWNER)


def _check_two_classes(scoring, n_classes):
    """Raise before any fit where a scorer by name takes two classes only."""
    if isinstance(scoring, str) and scoring in _OF_MORE_CLASSES and n_classes > 2:
        raise ValueError(
            f"The 'scoring' parameter of diagnose is {scoring!r}, which takes two classes, and y "
            f"has {n_classes}: use {_OF_MORE_CLASSES[scoring]!r}."
        )


def _seeds(seeds):
    if isinstance(seeds, Integral) and not isinstance(seeds, bool):
        check_parameter("seeds", seeds, [Interval(Integral, 1)], _OWNER)
        return list(range(int(seeds)))
    found = list(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else []
    if not found or not all(isinstance(s, Integral) and s >= 0 for s in found):
        raise ValueError(
            "The 'seeds' parameter of diagnose must be an int of at least 1 or a sequence of ints "
            f"of at least 0. Got {seeds!r}."
        )
    if len(set(found)) < len(found):
        raise ValueError(
            f"The 'seeds' parameter of diagnose must not repeat a seed. Got {seeds!r}."
        )
    return [int(seed) for seed in found]


def _rivals(rivals):
    if isinstance(rivals, str) or not isinstance(rivals, Iterable):
        raise TypeError(
            f"The 'rivals' parameter of diagnose must be a sequence of names. Got {rivals!r}."
        )
    rivals = list(rivals)
    for name in rivals:
        if name not in RIVALS:
            raise ValueError(
                f"The 'rivals' parameter of diagnose names {name!r}; known are "
                f"{', '.join(map(repr, RIVALS))}{did_you_mean(str(name), RIVALS)}"
            )
    return tuple(name for name in RIVALS if name in rivals)


# Report


def _report(task, folds, measuring, rows, rivals, given, scoring, y):
    """The report of what was measured."""
    texts = {row.name: row.text for row in rows} | {
        name: describe(name, folds.n_folds == 1) for name in rivals
    }
    levels = {row.name: row.level for row in rows} | {name: LEVELS[name] for name in rivals}
    order = [*(n for n in RIVALS if n in rivals), *(row.name for row in rows)]
    failed = measuring.failed
    kept = {n: measuring.scores[n] for n in order if n in measuring.scores and n not in failed}
    interacting = None
    other = "mlp" if is_additive(task.network) else "concat"
    if other in kept:
        interacting = [other, given] if other == "mlp" else [given, other]
    first = folds.folds[0]
    score = name_of_scoring(scoring, task.network)
    percent = is_share(score) and not callable(scoring)
    network_seeds = [fold.seed for fold in folds.folds]
    presence, n_complete = _presence(first, measuring.names)
    data = {
        "version": __version__,
        "task": "classification" if task.classifies else "regression",
        "scoring": score,
        "percent": percent,
        "n_samples": len(y),
        "n_groups": None if first.groups is None else _n_groups(folds),
        "n_classes": len(np.unique(y)) if task.classifies else None,
        "class_counts": np.unique(y, return_counts=True)[1].tolist() if task.classifies else None,
        "training": _training(task.network),
        "modalities": list(measuring.names),
        "presence": presence,
        "n_complete": n_complete,
        "seeds": list(dict.fromkeys(fold.repeat for fold in folds.folds)),
        "network_seeds": np.reshape(network_seeds, (-1, folds.n_folds)).tolist(),
        "n_folds": folds.n_folds,
        "same_folds": folds.same,
        "n_train": folds.n_train,
        "n_test": folds.n_test,
        "given": given,
        "interacting": interacting,
        "rows": {n: {"level": levels[n], "text": texts[n]} for n in kept},
        "scores": kept,
        "resampled_scores": _mean_resampled(measuring.resampled, kept),
        "measures": measuring.measures,
        "resampled_measures": {
            what: _mean_resampled(measuring.resampled, [(what, name) for name in measuring.names])
            for what in measuring.measures
        },
        "alone_on_all": measuring.alone,
        "cooperation": measuring.cooperation,
        "joint_block": measuring.joint_block,
        "on_common": measuring.on_common,
        "failed": dict(failed),
        "left_out": [name for name in RIVALS if name not in rivals],
        "warnings": dict(measuring.warned.most_common()),
    }
    return DiagnosisReport(data)


def _training(network):
    """How a network is trained, as a report tells it."""
    optimizer = network.optimizer
    name = optimizer if isinstance(optimizer, str) else getattr(optimizer, "__name__", None)
    return {
        "optimizer": name or type(optimizer).__name__,
        "lr": network.lr,
        "max_epochs": network.max_epochs,
    }


def _mean_resampled(resampled, keys):
    """Of one split, the means over the seeds of the scores of resamples, by row or modality."""
    found = {}
    for key in keys:
        if key in resampled:
            mean = np.mean(resampled[key], axis=0)
            spread = np.nanstd(mean)
            digits = 6 - int(np.floor(np.log10(spread))) if spread > 0 else 15
            name = key if isinstance(key, str) else key[1]
            found[name] = np.round(mean, digits)  # more is not worth a file's while
    return found


def _n_groups(folds):
    return len(np.unique(folds.folds[0].all_groups))


def _presence(fold, names):
    """Samples that have each pair of modalities, over all samples of a fold."""
    parts = [fold.X_train, fold.X_test]
    has = {name: np.concatenate([rows_with(part, name) for part in parts]) for name in names}
    fold.release()
    table = {a: {b: int((has[a] & has[b]).sum()) for b in names} for a in names}
    return table, int(np.logical_and.reduce(list(has.values())).sum())


def _recommended(report, task, names, rows, left):
    """The recommended row as an estimator that takes what the user has."""
    name = report.recommended_
    if name == BEST_SINGLE:
        best = max(names, key=lambda m: report.data["alone_on_all"][m].mean())
        return task.whole(alone_estimator(task.network, best, names), (best,))
    if name == LATE_FUSION:
        made = late_fusion_template(task)
        made.estimator = {m: alone_estimator(task.network, m, names) for m in names}
        return task.whole(made)
    if name in rows:
        kept = left if name.startswith("without ") else None
        return task.whole(clone(rows[name].estimator), kept)
    made = rival_estimator(name, task, names, None)
    return made if name == MAJORITY else task.whole(made)
