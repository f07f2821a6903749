"""What differences over folds and seeds allow to say: questions, their answers, and sentences."""

from typing import NamedTuple

import numpy as np

from ..functional.comparison import (
    Comparison,
    comparison_of_resamples,
    corrected_resampled_t,
    holm_levels,
    samples_needed,
)

__all__ = [
    "LINEAR",
    "Design",
    "Verdict",
    "compare",
    "give_verdicts",
    "is_nothing_to_learn",
    "share_of",
]

#: Shares of what a modality, or all of them, gains over guessing: below the first what a head
#: leaves unread does not matter, below the second a modality adds nothing, below the third what an
#: encoder lacks does not matter.
NEGLECTS, NEGLIGIBLE, SLIGHT = 0.15, 0.10, 0.05
#: No head neglects a modality whose Shapley value is at least this part of its fair one.
USED = 0.75
LEVEL = 0.95
#: With fewer differences than this, their spread says little of how many samples would do.
FEW = 5


class Design(NamedTuple):
    """How the differences came about.

    Parameters
    ----------
    n_samples : int
        Or groups, where these are kept together.
    n_train, n_test : float
        Of a training and of a test part.
    same_folds : bool
        Whether all seeds have the same folds: then a fold's mean over the seeds counts once.
    unit : {"samples", "groups", "test samples", "test groups"}
    one_split : bool, default=False
        Whether there is one split only: then scores are of the type `Spread`, and their intervals
        from resamples of the test part, of which `n_samples` is the number.
    n_folds, n_seeds : int, default=0
        0 where nobody said.
    """

    n_samples: int
    n_train: float
    n_test: float
    same_folds: bool
    unit: str = "samples"
    one_split: bool = False
    n_folds: int = 0
    n_seeds: int = 0

    @property
    def is_few(self):
        """Whether there are too few differences to say how many samples would do (bool)."""
        count = self.n_folds * (1 if self.same_folds else self.n_seeds)
        return not self.one_split and 0 < count < FEW


class Verdict(NamedTuple):
    """One thing that the data say.

    Parameters
    ----------
    kind : str
        "starving encoder", "neglecting head", "adds nothing", "only together", "loses to late
        fusion", "loses to best single", "loses to linear", "nothing starves" or "cannot be told".
    modality : str or None
        None: of all.
    size : float
        The difference of scores.
    low, high : float
        Its interval, at the level that Holm's adjustment over the questions of the report leaves.
    level : float
    remedy : str
    sentence : str
        All of it in words.
    """

    kind: str
    modality: str | None
    size: float
    low: float
    high: float
    level: float
    remedy: str
    sentence: str

    def __str__(self):
        return self.sentence


class _Question(NamedTuple):
    """All of `differences` above 0? `shown` is the one whose size and interval are told."""

    kind: str
    modality: str | None
    differences: list
    shown: np.ndarray


def compare(differences, design, level=LEVEL):
    """Mean difference with its interval.

    Parameters
    ----------
    differences : ndarray of shape (n_seeds, n_folds)
        Paired by fold and seed. Folds where it is NaN do not count.
    design : Design
    level : float, default=0.95

    Returns
    -------
    Comparison
        All NaN from fewer than two folds, unless they are of one split.
    """
    if design.one_split and getattr(differences, "resampled", None) is not None:
        mean = np.asarray(differences).mean()
        return comparison_of_resamples(mean, differences.resampled, level=float(level))
    values = np.asarray(differences, dtype=np.float64)
    if design.same_folds:
        values = values.mean(axis=0)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        nan = np.asarray(np.nan)
        return Comparison(nan, nan, nan, nan, nan, np.nan, np.asarray(level))
    return corrected_resampled_t(values, design.n_train, design.n_test, level=level)


def give_verdicts(scores, measures, design, given, interacting, wording):
    """All verdicts of a report.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_seeds, n_folds)
        By row of the comparison.
    measures : dict of str to dict of str to ndarray of shape (n_seeds, n_folds)
        By measure and modality.
    design : Design
    given : str
        The row that is diagnosed.
    interacting : tuple of str and str, or None
        The rows of the interacting and of the additive network, where both were compared.
    wording : Wording
        Numbers in words.

    Returns
    -------
    list of Verdict
    """
    names = list(measures["alone"])
    fair = _fair_values(measures)
    asked = [
        question
        for name in names
        for question in _of_modality(
            name, {k: v[name] for k, v in measures.items()}, fair[name], scores, given
        )
    ]
    asked += _of_rows(scores, measures, given, interacting)
    answered = _answer(asked, design)
    together = [found for found in answered if found[0].kind == "only together" and found[2]]
    verdicts = []
    lacking = {
        question.modality: "slightly" if _is_slight(question, measures) else "certainly"
        for question, _, holds in answered
        if holds and question.kind == "starving encoder"
    }
    for question, told, holds in answered:
        if not holds or (together and question.kind in (*_STARVES, "adds nothing")):
            continue
        if _is_slight(question, measures):
            continue
        if question.kind == "adds nothing" and _says_something(question, measures, design):
            continue
        facts = _facts(question, scores, measures, design, given, lacking, interacting)
        verdicts.append(wording.verdict(question.kind, question.modality, told, facts))
    verdicts = _one_linear(verdicts)
    rank = {kind: i for i, kind in enumerate(_ORDER)}
    verdicts.sort(key=lambda verdict: rank[verdict.kind])
    better = _better_row(scores, given, design)
    if not together and _is_no_guess(scores, measures, given, design):
        told_of = {v.modality for v in verdicts if v.kind in (*_STARVES, "adds nothing")}
        verdicts += _of_the_rest(
            names, told_of, answered, verdicts, measures, design, wording, better
        )
    elif not together:
        verdicts.append(wording.guessing(given, np.nanmean(scores[given]), better))
    return verdicts


_STARVES = ("starving encoder", "neglecting head")
_ORDER = (
    "only together",
    "starving encoder",
    "neglecting head",
    "loses to late fusion",
    "loses to best single",
    "loses to linear",
    "adds nothing",
)


def _fair_values(measures):
    """What each modality is worth to a network that reads all of them as well as a probe.

    All that they gain over guessing, in parts as what probes read from the joint encoders.
    """
    read = {
        name: max(float(np.nanmean(values - measures["baseline"][name])), 0.0)
        for name, values in measures["probe_joint"].items()
    }
    gained = sum(measures["shapley"].values())  # not np.sum, which would lose resamples
    whole = sum(read.values()) or 1.0
    return {name: part / whole * gained for name, part in read.items()}


def _of_modality(name, m, fair, scores, given):
    """Questions about a modality; `m` are its measures, `fair` its fair Shapley value."""
    learnt = m["probe_alone"] - m["baseline"]
    fewer = m["probe_alone"] - m["probe_joint"]
    beyond_random = m["probe_alone"] - m["probe_untrained"]
    yield _Question("starving encoder", name, [fewer, beyond_random], fewer)
    # A probe reads more than a head; alone, too, so that only the rest counts.
    unread = m["probe_joint"] - m["in_joint_calibrated"]
    more_than_alone = unread - (m["probe_alone"] - m["alone"])
    # Parts that score little apart may score much together: then they are not neglected.
    missed = USED * fair - m["shapley"]
    differences = [unread, more_than_alone, learnt, missed]
    yield _Question("neglecting head", name, differences, unread)
    bound = NEGLIGIBLE * _gained(scores, m, given)
    if bound > 0:
        little = [bound - m["permutation_drop"], bound - m["shapley"]]
        yield _Question("adds nothing", name, little, m["permutation_drop"])


def _gained(scores, m, given):
    """What all modalities together gain over guessing, by the network or late fusion."""
    best = max(np.nanmean(scores[row]) for row in (given, "late fusion") if row in scores)
    return best - np.nanmean(m["baseline"])


def _is_no_guess(scores, measures, given, design):
    """Whether the network as given is better than guessing."""
    guesses = list(measures["baseline"].values())
    guess = sum(guesses) / len(guesses)
    guess = scores.get("majority", guess)
    return bool(compare(scores[given] - guess, design).low > 0)


def _better_row(scores, given, design):
    """The best row whose own 95 % interval is above the network as given, with it, or None."""
    gains = {row: compare(scores[row] - scores[given], design) for row in scores if row != given}
    above = {row: told for row, told in gains.items() if told.low > 0}
    if not above:
        return None
    best = max(above, key=lambda row: above[row].estimate)
    return best, above[best]


def _one_linear(verdicts):
    """Of linear models that are better only the best; it is no verdict about a modality."""
    linear = [v for v in verdicts if v.kind == _LOSES_TO_LINEAR]
    if not linear:
        return verdicts
    best = max(linear, key=lambda v: v.size)._replace(modality=None)
    return [v for v in verdicts if v.kind != _LOSES_TO_LINEAR] + [best]


def _all_above(question):
    return all(np.nanmean(differences) > 0 for differences in question.differences)


def _least_certain(question, level, design):
    """Which difference of a question is least certain to be above 0, and its comparison."""
    found = [compare(differences, design, level) for differences in question.differences]
    place = int(np.argmax([told.p_value for told in found]))
    return place, found[place]


def _is_slight(question, measures):
    """Whether an encoder lacks, or a head leaves unread, less than matters."""
    if question.kind not in _STARVES:
        return False
    return np.nanmean(question.shown) < _matters(question, measures)


def _matters(question, measures):
    """From which size on a difference matters."""
    alone, guess = (measures[what][question.modality] for what in ("probe_alone", "baseline"))
    share = SLIGHT if question.kind == "starving encoder" else NEGLECTS
    return share * np.nanmean(alone - guess)


def _says_something(question, measures, design):
    """Whether a modality is above guessing when the network is trained on it alone."""
    alone, guess = (measures[what][question.modality] for what in ("alone", "baseline"))
    return not compare(alone - guess, design).low <= 0


def _of_rows(scores, measures, given, interacting):
    joint = scores[given]
    for row, kind in [("late fusion", "loses to late fusion"), ("best single", _LOSES_TO_SINGLE)]:
        if row in scores:
            more = scores[row] - joint
            yield _Question(kind, None, [more], more)
    for row in LINEAR:
        if row in scores:
            more = scores[row] - joint
            yield _Question(_LOSES_TO_LINEAR, row, [more], more)
    if interacting is not None:
        with_, without = (scores[row] for row in interacting)
        more = with_ - without
        baseline = np.mean([np.nanmean(m) for m in measures["baseline"].values()])
        additive = [without] + ([scores["late fusion"]] if "late fusion" in scores else [])
        # More than half of what is learnt is there only together.
        mostly = [(with_ - a) - (a - baseline) for a in additive]
        yield _Question("only together", None, [more, *mostly], more)


_LOSES_TO_SINGLE, _LOSES_TO_LINEAR = "loses to best single", "loses to linear"
#: Rows that are linear models.
LINEAR = ("linear on all", "stacked linear")


def _answer(asked, design):
    """Each question with its comparison at Holm's level, and whether the answer is yes."""
    p_values, told = [], []
    for question in asked:
        found = [compare(d, design) for d in question.differences]
        # All must hold, so that the least certain one decides; above 0 is what is asked.
        p = [c.p_value if c.estimate > 0 else np.maximum(1.0, c.p_value) for c in found]
        p_values.append(float(np.max(p)))
        told.append(found)
    levels = holm_levels(np.array(p_values), LEVEL) if asked else []
    answers = []
    for question, p, level in zip(asked, p_values, levels, strict=True):
        level = LEVEL if np.isnan(level) else level
        yes = bool(p <= 1 - level)
        answers.append((question, compare(question.shown, design, level), yes))
    return answers


def _facts(question, scores, measures, design, given, lacking, interacting):
    """Numbers that a sentence tells beside the difference."""
    lacks = lacking.get(question.modality)
    facts = {"given": given, "starving": lacks == "certainly"}
    if question.kind in ("starving encoder", "neglecting head"):
        m = {k: v[question.modality] for k, v in measures.items()}
        share = share_of(m, design)
        behind = bool(share.high < 1)
        facts["fine"] = _is_fine(m, design) and not behind
        facts["behind"] = ("slightly" if lacks else "maybe") if behind else None
        facts["share"] = share
    if question.modality in measures["alone"]:
        facts.update({k: np.nanmean(v[question.modality]) for k, v in measures.items()})
    facts["rows"] = {row: np.nanmean(values) for row, values in scores.items()}
    facts["interacting"] = interacting
    facts["alone_by"] = {name: np.nanmean(values) for name, values in measures["alone"].items()}
    return facts


def _is_fine(m, design):
    """Whether an encoder lacks nothing that matters, or there is nothing to learn; by 95 %."""
    return _is_bounded(m, design) or _may_guess(m, design)


def _is_bounded(m, design):
    """Whether what an encoder lacks is surely little, or there is surely little to learn."""
    lacks = compare(m["probe_alone"] - m["probe_joint"], design)
    worth = NEGLIGIBLE * np.nanmean(m["probe_alone"] - m["baseline"])
    return bool(lacks.high <= max(worth, 0.0) or is_nothing_to_learn(m, design))


def _may_guess(m, design):
    """Whether what is trained alone may be a guess, and no better than what is untrained."""
    learnt = compare(m["probe_alone"] - m["baseline"], design)
    gain = compare(m["probe_alone"] - m["probe_untrained"], design)
    return bool(not learnt.low > 0 and not gain.low > 0)


def is_nothing_to_learn(m, design):
    """Whether an encoder that is trained alone surely brings next to nothing over an untrained one.

    Parameters
    ----------
    m : dict of str to ndarray of shape (n_seeds, n_folds)
        Measures of the modality.
    design : Design

    Returns
    -------
    bool
        The whole interval of the gain is below the least gain that counts. An uncertain gain is not
        nothing, however small its mean.
    """
    gain = compare(m["probe_alone"] - m["probe_untrained"], design)
    learnt = compare(m["probe_alone"] - m["baseline"], design)
    return bool(gain.high < NEGLIGIBLE * learnt.estimate and not gain.low > 0)


def share_of(m, design):
    """Learned share of a modality with its 95 % interval; see `DiagnosisReport.learned_share`.

    Parameters
    ----------
    m : dict of str to ndarray of shape (n_seeds, n_folds)
        Measures of the modality.
    design : Design

    Returns
    -------
    Comparison
    """
    gained, possible = (m[k] - m["probe_untrained"] for k in ("probe_joint", "probe_alone"))
    if not compare(possible, design).low > 0:
        return compare(np.full(np.shape(gained), np.nan), design)
    share = np.nanmean(gained) / np.nanmean(possible)
    return compare(share + (gained - share * possible) / np.nanmean(possible), design)


def _of_the_rest(names, told_of, answered, verdicts, measures, design, wording, better):
    """What is said of modalities without a verdict: that they are fine, or that nobody knows."""
    unknown, fine = [], []
    for question, answer, _ in answered:
        name = question.modality
        if question.kind != "starving encoder" or name in told_of:
            continue
        if not np.isfinite(answer.estimate):
            continue
        if _is_fine({k: v[name] for k, v in measures.items()}, design):
            fine.append(name)
        else:
            needed = samples_needed(answer, design.n_samples)
            unknown.append(wording.unknown(question.kind, name, answer, needed, design))
    harm = [v for v in verdicts if v.kind != "adds nothing"]
    for question, answer, holds in answered:
        name = question.modality
        if question.kind != "neglecting head" or holds or name in told_of:
            continue
        if not _is_slight(question, measures) and _all_above(question):
            place, told = _least_certain(question, answer.level, design)
            needed = samples_needed(told, design.n_samples)
            but = place if answer.low > 0 else 0
            m = {k: np.nanmean(v[name]) for k, v in measures.items()}
            inside = wording.inside(m["in_joint"], m["in_joint_calibrated"])
            unknown.append(
                wording.unknown(question.kind, name, answer, needed, design, inside, but)
            )
    if not unknown and not harm and names:
        of = [{k: v[name] for k, v in measures.items()} for name in fine]
        if not any(_is_bounded(m, design) or _is_share_told(m, design) for m in of):
            return [wording.nobody_knows(design, better)]
        untrained = [
            name for name, m in zip(fine, of, strict=True) if is_nothing_to_learn(m, design)
        ]
        return [wording.nothing(fine, untrained, not verdicts, better)]
    if unknown and not harm and better is not None:
        unknown.append(wording.better(better))
    return unknown


def _is_share_told(m, design):
    return bool(np.isfinite(share_of(m, design).estimate))
