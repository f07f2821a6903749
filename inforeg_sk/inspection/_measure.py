"""Fits and measures of a diagnosis, fold by fold."""

import warnings
from collections import Counter
from contextlib import contextmanager
from time import perf_counter

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor

from ..ensemble.experts import only
from ..estimator import MultimodalEstimator
from ..estimator.scoring import check_single_scoring, one_score
from ..model_selection.cost import duration, seconds_of_fit
from ..model_selection.fits import fit_parts, why_not_batched
from ..utils.parameters import error_kind
from ._alone import alone_estimator
from ._calibrated import calibrated_scores
from ._compared import (
    BEST_SINGLE,
    LATE_FUSION,
    POOL,
    POOL_FOLDS,
    alone_on_all,
    fit_rival,
    late_fusion_of,
    rival_estimator,
)
from ._importance import modality_permutation_importance, modality_shapley
from ._learned_share import learned_share
from ._resampled import ResampledScorer, best_on_the_other_half, n_resamples_for
from ._words import folds_told

__all__ = ["MEASURES", "Measuring"]

#: What is measured of each modality on each fold and seed.
MEASURES = (
    "baseline",
    "alone",
    "alone_common",
    "in_joint",
    "in_joint_calibrated",
    "probe_untrained",
    "probe_joint",
    "probe_alone",
    "permutation_drop",
    "shapley",
)
_REPEATS = 3
_ALONE = "alone: "


class Measuring:
    """All fits and scores of a diagnosis.

    Parameters
    ----------
    task : Task
    folds : Folds
    names : tuple of str
        Modalities.
    scoring : str, callable or None
    n_jobs : int or None
    verbose : int
        With one split only, scores of resamples of its test part are kept, too.

    Attributes
    ----------
    scores : dict of str to ndarray of shape (n_seeds, n_folds)
        By row.
    alone : dict of str to ndarray of shape (n_seeds, n_folds)
        By modality: the network trained alone, scored on all samples.
    measures : dict of str to dict of str to ndarray of shape (n_seeds, n_folds)
    resampled : dict of str to list of ndarray of shape (n_resamples,)
        Of one split, by row, or measure and modality: the scores of the resamples, by seed.
    cooperation, joint_block, on_common : ndarray of shape (n_seeds, n_folds)
        Of the Shapley game; what the pool's joint block is worth; the score of the network as given
        on the samples that have all modalities.
    failed : dict of str to str
        Rows that could not be fitted or scored, with the error.
    warned : Counter
        Texts of the warnings of the fits.
    """

    def __init__(self, task, folds, names, scoring, n_jobs, verbose):
        self.task, self.folds, self.names = task, folds, names
        self.scoring, self.n_jobs, self.verbose = scoring, n_jobs, verbose
        self.resampled = {}
        if folds.n_folds == 1:
            one = folds.folds[0]
            self.scoring = ResampledScorer(
                scoring,
                task.classifies,
                len(one.y_test),
                one.groups_test,
                n_resamples_for(len(names)),
            )
        last = folds.folds[-1].place
        self._shape = (last[0] + 1, folds.n_folds)
        self.scores, self.failed, self.warned = {}, {}, Counter()
        self.alone = {name: self._empty() for name in names}
        self.measures = {what: {name: self._empty() for name in names} for what in MEASURES}
        self.cooperation, self.joint_block = self._empty(), self._empty()
        self.on_common = self._empty()

    def _empty(self):
        return np.full(self._shape, np.nan)

    # Networks

    def networks(self, rows, given, rivals):
        """Fit the networks of all folds, and measure them.

        Parameters
        ----------
        rows : list of Compared
        given : str
            The row that is diagnosed.
        rivals : tuple of str
        """
        alone = {n: alone_estimator(self.task.network, n, self.names) for n in self.names}
        for chunk in self._bar_of_chunks(rows):
            tasks = [(fold, row.name, row.estimator, None) for fold in chunk for row in rows]
            tasks += [(fold, f"{_ALONE}{n}", one, n) for fold in chunk for n, one in alone.items()]
            fitted = self._fit(tasks)
            self._raise_own(fitted, chunk, given)
            jobs = (
                delayed(_measured)(
                    self.task,
                    fold,
                    {row.name: fitted[fold.place, row.name] for row in rows},
                    {name: fitted[fold.place, f"{_ALONE}{name}"].estimator for name in self.names},
                    given,
                    rivals,
                    self.scoring,
                )
                for fold in chunk
            )
            results = self._parallel(jobs)
            if len(chunk) > 1:
                results = self._bar(results, len(chunk), "measures")
            for found, warned in results:
                self._take(*found)
                self.warned.update(warned)
            for fold in chunk:
                fold.release()
        if BEST_SINGLE in rivals and self.folds.n_folds > 1:
            self.scores[BEST_SINGLE] = self._best_single()

    def further(self, row, names):
        """Fit and score one more network, of some modalities, on all folds."""
        found = {}
        for chunk in self._bar_of_chunks([row]):
            fitted = self._fit([(fold, row.name, row.estimator, names) for fold in chunk])
            for fold in chunk:
                one = fitted[fold.place, row.name]
                X = {name: fold.X_test[name] for name in names}
                found[fold.place] = _score_of(row.name, one, X, fold, self.scoring)
                fold.release()
        for place, (score, error) in found.items():
            self._score(row.name, place, score, error)

    def _chunks(self, rows):
        """Folds whose networks are fitted in one call: all where they are trained as one."""
        folds = self.folds.folds
        if all(
            why_not_batched(row.estimator) is None
            for row in rows
            if isinstance(row.estimator, MultimodalEstimator)
        ):
            return [folds]
        return [[fold] for fold in folds]

    def _bar_of_chunks(self, rows):
        """The chunks, with a progress bar where there are several."""
        chunks = self._chunks(rows)
        return chunks if len(chunks) == 1 else self._bar(chunks, len(chunks), "folds")

    def _fit(self, tasks):
        made, parts, shared = [], [], {}
        for fold, _, estimator, only_of in tasks:
            made.append(_seeded(estimator, fold.seed))
            names = None if only_of is None else (only_of,) if isinstance(only_of, str) else only_of
            key = fold.place, names
            if key not in shared:
                shared[key] = fold.part(names)
            parts.append(shared[key])
        begun = perf_counter()
        with _recorded(self.warned):
            fitted = fit_parts(made, parts, n_jobs=self.n_jobs)
        if self.verbose and len({fold.place for fold, *_ in tasks}) > 1:  # else a bar tells
            print(f"diagnose: {len(made)} networks took {duration(perf_counter() - begun)}")
        return {(task[0].place, task[1]): one for task, one in zip(tasks, fitted, strict=True)}

    def _raise_own(self, fitted, chunk, given):
        """Raise what went wrong with the user's own network."""
        for fold in chunk:
            for what in (given, *(f"{_ALONE}{name}" for name in self.names)):
                error = fitted[fold.place, what].error
                if error is not None:
                    alone = what.startswith(_ALONE)
                    who = f"modality {what[len(_ALONE) :]!r} alone" if alone else "the estimator"
                    raise error_kind(error)(f"{who}, {fold}: {error}") from error

    def _take(self, place, scores, alone, measures, cooperation, on_common):
        for name, (score, error) in scores.items():
            self._score(name, place, score, error)
        for name, score in alone.items():
            self.alone[name][place] = _first(score)
        for what, by_name in measures.items():
            for name, value in by_name.items():
                self.measures[what][name][place] = self._keep((what, name), value)
        self.cooperation[place], self.on_common[place] = _first(cooperation), _first(on_common)

    def _keep(self, key, score):
        """The score itself; those of resamples are kept."""
        if np.ndim(score):
            self.resampled.setdefault(key, []).append(score[1:])
        return _first(score)

    def _score(self, name, place, score, error):
        self.scores.setdefault(name, self._empty())[place] = self._keep(name, score)
        if error is not None:
            self.failed.setdefault(name, error)

    def _best_single(self):
        """Scores of the modality that is best on the other folds of the same seed."""
        table = np.stack([self.alone[name] for name in self.names])
        others = table.sum(axis=2, keepdims=True) - table
        best = others.argmax(axis=0)
        return np.take_along_axis(table, best[None], axis=0)[0]

    # Rivals

    def rivals(self, names):
        """Fit and score the rivals that are no networks of ours trained together.

        Parameters
        ----------
        names : list of str
        """
        asked = [(n, f) for n in names for f in self.folds.folds if not self._is_repeated(n, f)]
        jobs = (delayed(_rival)(self.task, fold, n, self.names, self.scoring) for n, fold in asked)
        found = self._bar(self._parallel(jobs), len(asked), "rivals")
        for (name, fold), (score, extra, error, warned) in zip(asked, found, strict=True):
            self._score(name, fold.place, score, error)
            if self._is_repeated(name, self.folds.folds[-1]):
                self.scores[name][:, fold.place[1]] = _first(score)
            self.warned.update(warned)
            if extra is not None:
                self.joint_block[fold.place] = extra
            fold.release()

    def _is_repeated(self, name, fold):
        """Whether a fit would be that of another seed: on the same rows, without chance."""
        return self.folds.same and name != POOL and fold.place[0] > 0

    def _parallel(self, jobs):
        return Parallel(n_jobs=self.n_jobs, return_as="generator")(jobs)

    def _bar(self, results, total, what):
        if not self.verbose:
            return results
        from tqdm import tqdm

        return tqdm(
            results,
            total=total,
            desc=f"diagnose: {what}",
            unit="fold" if what == "folds" else "fit",
            delay=1,
        )

    def say_cost(self, rows, rivals):
        """Print how many fits there will be, and how long the networks take at most."""
        if not self.verbose:
            return
        folds = self.folds.folds
        networks = [row.estimator for row in rows]
        n_pool = POOL_FOLDS + 1 if POOL in rivals else 0
        n_fits = len(folds) * (len(networks) + len(self.names) + n_pool)
        fitted = [name for name in rivals if name not in _MADE]
        n_rivals = sum(not self._is_repeated(n, f) for n in fitted for f in folds)
        print(
            f"diagnose: {folds_told(self.folds.n_folds, self._shape[0])}, {n_fits} fits of networks"
            f"{f' ({n_pool * len(folds)} of them in evidence pools)' if n_pool else ''}, "
            f"{n_rivals} of rivals",
            flush=True,
        )
        part = folds[0].part()
        each = seconds_of_fit(_seeded(self.task.network, folds[0].seed), part)
        folds[0].release()
        if each == each:
            # Alone, the networks together are about as large as the joint one.
            n_joint = len(folds) * (len(networks) + 1 + n_pool)
            print(
                f"diagnose: the networks will take at most about {duration(each * n_joint)}, less "
                "where they are trained as one; measures and rivals come on top",
                flush=True,
            )


_MADE = (BEST_SINGLE, LATE_FUSION)


def _seeded(estimator, seed):
    """A clone with a seed of its own, where it has one."""
    made = clone(estimator)
    params = made.get_params()
    own = [key for key in params if key.rpartition("__")[2] == "random_state"]
    return made.set_params(**dict.fromkeys(own, seed))


@contextmanager
def _recorded(counter):
    """Count the texts of warnings instead of showing them again and again."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
    counter.update(str(warning.message) for warning in caught)


def _measured(*arguments):
    """What `_measure` returns, and the texts of warnings on the way."""
    warned = Counter()
    with _recorded(warned):
        return _measure(*arguments), warned


def _measure(task, fold, networks, alone, given, rivals, scoring):
    """All scores and measures of one fold.

    Returns
    -------
    place : tuple of int and int
    scores : dict of str to tuple of float and str or None
    alone : dict of str to float
    measures : dict of str to dict of str to float
    cooperation : float
    on_common : float
        The network as given on the samples that have all modalities.
    """
    X, y = fold.X_test, fold.y_test
    scores = {name: _score_of(name, one, X, fold, scoring) for name, one in networks.items()}
    joint = networks[given].estimator
    scorer = check_single_scoring(joint, scoring, "diagnose")
    scores[given] = one_score(scorer, joint, X, y), None
    X_train, y_train = fold.X_train, fold.y_train
    if LATE_FUSION in rivals:
        scores[LATE_FUSION] = _tried(
            lambda: _scored(late_fusion_of(task, alone, X_train, y_train), X, y, scoring)
        )
    whole = {
        name: alone_on_all(expert, name, X_train, y_train, task.classifies)
        for name, expert in alone.items()
    }
    if BEST_SINGLE in rivals and isinstance(scoring, ResampledScorer):
        scores[BEST_SINGLE] = _tried(
            lambda: best_on_the_other_half(whole, X, y, fold.groups_test, scoring)
        )
    on_all, measures = {}, {what: {} for what in MEASURES}
    guess = (DummyClassifier(strategy="prior") if task.classifies else DummyRegressor()).fit(
        np.zeros((len(y_train), 1)), y_train
    )
    common = np.logical_and.reduce([fold.having(name) for name in alone])
    for name, expert in alone.items():
        on_all[name] = _scored(whole[name], X, y, scoring)
        rows = fold.having(name)
        if not rows.any():
            continue
        alone_score = _scored(expert, only(X, name, rows), y[rows], _of(scoring, rows))
        measures["alone"][name] = measures["alone_common"][name] = alone_score
        if not common.all():
            here = only(X, name, common) if common.any() else None
            measures["alone_common"][name] = (
                np.nan if here is None else _scored(expert, here, y[common], _of(scoring, common))
            )
        nothing = np.zeros((rows.sum(), 1))
        measures["baseline"][name] = _scored(guess, nothing, y[rows], _of(scoring, rows))
    # In the order in which they ask.
    having = [rows for rows in map(fold.having, joint.modalities_) if rows.any()]
    each = _of(scoring, *having)
    measures["in_joint"] = joint.score_by_modality(X, y, samples="each", scoring=each)
    each = _of(scoring, *having)
    measures["in_joint_calibrated"] = calibrated_scores(joint, X_train, y_train, X, y, each)
    probes = learned_share(
        joint,
        X_train,
        y_train,
        X,
        y,
        alone=alone,
        scoring=_of(scoring, *(3 * having)),
        groups=fold.groups,
    )
    permuted = modality_permutation_importance(
        joint, X, y, scoring=scoring, n_repeats=_REPEATS, random_state=fold.seed
    )
    shared = modality_shapley(
        joint, X, y, scoring=scoring, n_repeats=_REPEATS, random_state=fold.seed
    )
    for what, names, values in [
        ("probe_untrained", probes.modalities, probes.untrained),
        ("probe_joint", probes.modalities, probes.joint),
        ("probe_alone", probes.modalities, probes.alone),
        ("permutation_drop", permuted.modalities, permuted.importances_mean),
        ("shapley", shared.modalities, shared.importances_mean),
    ]:
        measures[what] = dict(zip(names, values, strict=True))
    on_common = scores[given][0]
    if not common.all():
        on_common = np.nan
        if common.any():
            on_common = _scored(joint, X[common], y[common], _of(scoring, common))
    return fold.place, scores, on_all, measures, shared.cooperation, on_common


def _first(score):
    """The score of the samples themselves, where it has those of resamples behind it."""
    return score[0] if np.ndim(score) else score


def _of(scoring, *masks):
    """The scoring for some of the test samples, asked once for each mask."""
    return scoring.of(masks) if isinstance(scoring, ResampledScorer) else scoring


def _scored(estimator, X, y, scoring):
    return one_score(check_single_scoring(estimator, scoring, "diagnose"), estimator, X, y)


def _tried(call):
    """A score and no error, or NaN and the error: of what is not the user's own."""
    try:
        return call(), None
    except Exception as error:
        return np.nan, f"{type(error).__name__}: {error}"


def _score_of(name, one, X, fold, scoring):
    if one.error is not None:
        return np.nan, f"{type(one.error).__name__}: {one.error}"
    return _tried(lambda: _scored(one.estimator, X, fold.y_test, scoring))


def _rival(task, fold, name, names, scoring):
    """Fit and score one rival on one fold: score, what a joint block is worth, error, warnings."""
    warned, extra = Counter(), None
    with _recorded(warned):
        try:
            made = rival_estimator(name, task, names, fold.seed)
            fit_rival(made, fold.X_train, fold.y_train, fold.groups)
            score = _scored(made, fold.X_test, fold.y_test, scoring)
            if name == POOL:
                extra = made.block_importance_["joint"].increase
        except Exception as error:
            return np.nan, None, f"{type(error).__name__}: {error}", warned
    return score, extra, None, warned
