"""Verdicts from paired differences: the rules one by one, on numbers made by hand."""

import re

import numpy as np
import pytest
from scipy import stats

from inforeg_sk.inspection._recommend import choose_row, why_row
from inforeg_sk.inspection._resampled import Spread
from inforeg_sk.inspection._style import limits_of
from inforeg_sk.inspection._verdicts import Design, compare, give_verdicts, is_nothing_to_learn
from inforeg_sk.inspection._wording import Wording

DESIGN = Design(500, 400, 100, False)
SHAPE = (3, 5)


def spread(mean, sd=0.01, seed=0):
    """Numbers of 3 seeds and 5 folds with exactly this mean and standard deviation."""
    values = np.random.default_rng(seed).standard_normal(SHAPE)
    values = (values - values.mean()) / values.std(ddof=1)
    return mean + sd * values


def modality(seed, **means):
    """Measures of a modality that is fine, but for what is given: means, or (mean, sd)."""
    fine = {
        "baseline": 0.5,
        "alone": 0.8,
        "in_joint": 0.79,
        "in_joint_calibrated": 0.79,
        "probe_untrained": 0.6,
        "probe_joint": 0.8,
        "probe_alone": 0.8,
        "permutation_drop": 0.2,
        "shapley": 0.2,
    }
    given = {**fine, **means}
    if "in_joint" in means:
        given["in_joint_calibrated"] = means["in_joint"]
    return {
        what: spread(*np.atleast_1d(mean), seed=seed + i)
        for i, (what, mean) in enumerate(given.items())
    }


def verdicts_of(scores=None, interacting=None, design=DESIGN, **changes):
    """Verdicts on two modalities, "left" and "right", that are fine but for the changes."""
    parts = {name: modality(50 * k, **changes.get(name, {})) for k, name in enumerate(NAMES)}
    measures = {what: {name: parts[name][what] for name in NAMES} for what in parts["left"]}
    means = {"majority": 0.5, "late fusion": 0.9, "joint": 0.9, **(scores or {})}
    rows = {
        row: spread(*np.atleast_1d(mean), seed=900 + i)
        for i, (row, mean) in enumerate(means.items())
    }
    return give_verdicts(rows, measures, design, "joint", interacting, Wording(True))


NAMES = ("left", "right")
#: A network that has next to nothing of a modality.
UNUSED = {"shapley": 0.02, "permutation_drop": 0.02}


def kinds(verdicts):
    return [(v.kind, v.modality) for v in verdicts]


def test_the_interval_is_nadeau_and_bengios():
    values = spread(0.1, 0.02)
    told = compare(values, DESIGN)
    error = 0.02 * np.sqrt(1 / 15 + 100 / 400)
    half = stats.t.ppf(0.975, 14) * error
    assert told.low == pytest.approx(0.1 - half) and told.high == pytest.approx(0.1 + half)


def test_with_the_same_folds_a_fold_counts_once():
    folds = np.array([0.1, 0.2, 0.3, 0.2, 0.1])
    told = compare(np.tile(folds, (3, 1)), DESIGN._replace(same_folds=True))
    error = folds.std(ddof=1) * np.sqrt(1 / 5 + 100 / 400)
    assert told.standard_error == pytest.approx(error) and told.df == 4


def test_folds_without_a_number_do_not_count_and_one_is_not_enough():
    values = np.array([[0.1, 0.2, np.nan]])
    assert compare(values, DESIGN).estimate == pytest.approx(0.15)
    assert np.isnan(compare(values[:, 1:], DESIGN).estimate)


def test_where_nothing_is_wrong_nothing_starves():
    (only,) = verdicts_of()
    assert only.kind == "nothing starves" and only.remedy == "none is needed"
    assert only.sentence == "nothing starves (left, right); no remedy is needed."


def test_where_training_adds_nothing_to_an_encoder_that_is_said():
    same = dict.fromkeys(("probe_untrained", "probe_joint", "probe_alone"), 0.8)
    (only,) = verdicts_of(left=same)
    assert only.sentence == (
        "nothing starves (left, right): training adds next to nothing to the encoder of left, "
        "even alone; no remedy is needed."
    )
    (only,) = verdicts_of(left=same, right=same)
    assert "to the encoders of left and right, even alone; no remedy" in only.sentence


def test_a_starving_encoder_is_named_with_share_size_and_interval():
    (only,) = verdicts_of(left={"probe_joint": 0.7, "in_joint": 0.69})
    assert (only.kind, only.modality) == ("starving encoder", "left")
    assert only.size == pytest.approx(0.1) and 0 < only.low < 0.1 < only.high
    low, high = re.search(
        r"learned 50 % \(95 % interval (\d+) to (\d+)\) of what it learns alone", only.sentence
    ).groups()
    # Of about 20 points to learn, at the level of a single interval: less than the gap's own.
    assert 50 - int(low) == int(high) - 50 < 100 * (only.high - only.low) / 2 / 0.2
    assert "10.0 points less" in only.sentence and "unimodal losses" in only.remedy


def test_where_nobody_knows_what_there_is_to_learn_nothing_is_said_to_starve():
    # On average 20 points, of which nobody can be sure: what is untrained varies.
    left = {"probe_joint": 0.7, "in_joint": 0.69, "probe_untrained": (0.6, 0.5)}
    (only,) = verdicts_of(left=left)
    assert only.kind == "cannot be told" and "nan" not in only.sentence


def test_the_remedy_says_what_it_gained_here():
    starved = {"probe_joint": 0.7, "in_joint": 0.69}
    (only,) = verdicts_of({"joint*": 0.95}, left=starved)
    joint = "On these data joint* (the network with unimodal losses) gained 5.0 points over the "
    assert f"{joint}network as given, late fusion scored the same." in only.sentence
    (only,) = verdicts_of({"joint*": 0.95, "late fusion": 0.91}, left=starved)
    assert f"{joint}network as given, late fusion 1.0." in only.sentence
    (only,) = verdicts_of({"joint*": 0.95, "late fusion": 0.89}, left=starved)
    assert f"{joint}network as given, late fusion lost 1.0." in only.sentence


@pytest.mark.parametrize(
    ("classifies", "named"), [(True, "LateFusionClassifier"), (False, "LateFusionRegressor")]
)
def test_remedies_name_what_fits_the_task(classifies, named):
    words = Wording(True, classifies)
    parts = {name: modality(50 * k) for k, name in enumerate(NAMES)}
    parts["left"] = modality(0, in_joint=0.55, **UNUSED)
    measures = {what: {name: parts[name][what] for name in NAMES} for what in parts["left"]}
    rows = {"joint": spread(0.9), "majority": spread(0.5, 0.001)}
    (only,) = give_verdicts(rows, measures, DESIGN, "joint", None, words)
    kind = named.removeprefix("LateFusion")
    assert f"({named})" in only.remedy
    assert f"MultimodalInfoReg{kind} with alpha=0, unimodal_weight=1" in only.remedy
    assert ("Regressor" in only.remedy) != classifies


def test_a_neglecting_head_is_not_called_a_starving_encoder():
    verdicts = verdicts_of(right={"in_joint": 0.6, **UNUSED})
    assert kinds(verdicts) == [("neglecting head", "right")]
    assert "the encoder is fine, the head neglects it" in verdicts[0].sentence


def test_a_probe_that_also_beats_the_head_alone_is_no_neglect():
    found = verdicts_of(right={"in_joint": 0.6, "alone": 0.6, **UNUSED})
    assert kinds(found) == [("nothing starves", None)]


def test_of_one_split_a_neglect_is_told_by_resamples():
    """What the resamples say counts: the number itself is one only."""
    rng = np.random.default_rng(0)

    def one(mean, sd=0.01):
        return Spread([[mean]], mean + sd * rng.standard_normal(2000))

    parts = {"left": modality(0), "right": modality(50, in_joint=0.55, **UNUSED)}
    measures = {k: {n: one(parts[n][k].mean()) for n in NAMES} for k in parts["left"]}
    design = DESIGN._replace(one_split=True)
    given = ({"joint": one(0.9)}, measures, design, "joint", None, Wording(True))
    assert ("neglecting head", "right") in kinds(give_verdicts(*given))
    measures["shapley"]["right"] = one(0.1, sd=0.2)
    assert ("neglecting head", "right") not in kinds(give_verdicts(*given))


def test_what_of_a_neglect_is_not_certain_is_told():
    changes = {"left": {"shapley": 0.3}, "right": {"shapley": (0.1, 0.2), "in_joint": 0.55}}
    (only,) = verdicts_of(**changes)
    assert (only.kind, only.modality) == ("cannot be told", "right") and only.low > 0
    assert "it is not certain that the head neglects it" in only.sentence
    assert (
        "25.0 points more than it scores inside the joint network (55.0 %). This" in only.sentence
    )
    assert "gap is certain (9" in only.sentence
    assert "its Shapley value is below three quarters of its fair share is not" in only.sentence
    right = {**UNUSED, "permutation_drop": 0.1, "in_joint": 0.55, "alone": (0.78, 1.0)}
    (only,) = verdicts_of(right=right)
    assert "a head leaves unread of the network trained alone is not" in only.sentence
    assert only.low > 0


def test_a_modality_that_the_network_uses_as_much_as_others_is_not_neglected():
    """Probes read 0.3 from both, and the network gains 0.4: the fair share of each is 0.2."""
    for shapley, neglected in [(0.2, False), (0.17, False), (0.1, True)]:
        # The other one has the rest; three quarters of 0.2 are 0.15.
        changes = {"left": {"shapley": 0.4 - shapley}, "right": {"shapley": shapley}}
        changes["right"]["in_joint"] = 0.55  # its part of the outputs says next to nothing
        found = kinds(verdicts_of(**changes))
        assert (("neglecting head", "right") in found) == neglected


def test_an_encoder_that_lacks_next_to_nothing_does_not_starve():
    # 1 point of 30, as certain as can be.
    assert kinds(verdicts_of(left={"probe_joint": 0.79, "in_joint": 0.78}))[0][0] in (
        "nothing starves",
        "cannot be told",
    )


def test_where_training_alone_brings_nothing_over_random_features_nothing_starves():
    found = verdicts_of(left={"probe_untrained": 0.8, "probe_joint": 0.74, "in_joint": 0.74})
    assert kinds(found) == [("nothing starves", None)]


#: Alone 20 points more than untrained, with a standard error of 28; jointly 6 less than alone.
UNCERTAIN = {"probe_untrained": (0.6, 0.5), "probe_joint": 0.74, "in_joint": 0.73}


def test_a_large_gain_over_random_features_that_is_uncertain_is_not_nothing_to_learn():
    (only,) = verdicts_of(left=UNCERTAIN)
    assert (only.kind, only.modality) == ("cannot be told", "left")
    noise = modality(0, **UNCERTAIN)
    assert not is_nothing_to_learn(noise, DESIGN)
    small = modality(0, probe_untrained=(0.79, 0.01))  # 1 point of 30 learned, and surely below 3
    small["probe_alone"] = spread(0.791)
    assert is_nothing_to_learn(small, DESIGN)
    small["probe_untrained"] = spread(0.79, 0.05)  # the same mean, and perhaps 6
    assert not is_nothing_to_learn(small, DESIGN)


def test_where_all_are_right_for_all_samples_the_untrained_encoder_is_as_good():
    perfect = modality(0, probe_untrained=(1.0, 0.0), probe_alone=(1.0, 0.0))
    assert is_nothing_to_learn(perfect, DESIGN)


@pytest.mark.parametrize(
    ("sd", "said"),
    [
        # By hand: 2.14 * sd * sqrt(1 / 15 + 100 / 400) / 3 points is 20 %, and 27 %.
        (0.005, "the encoder learned a little less than alone (70 %, 50 to 90)."),
        (
            0.0068,
            "the encoder may have learned less than alone (70 %, 43 to 97), which is not cert",
        ),
    ],
)
def test_an_encoder_that_learned_less_than_alone_is_not_called_fine(sd, said):
    """2.1 of 3 points more than untrained, where 30 more than guessing are learned."""
    behind = {"probe_untrained": (0.77, 1e-4), "probe_joint": (0.791, sd), "in_joint": 0.55}
    (only,) = verdicts_of(left={**behind, **UNUSED, "probe_alone": (0.8, 1e-4)})
    assert (only.kind, only.modality) == ("neglecting head", "left")
    assert "fine" not in only.sentence and said in only.sentence


@pytest.mark.parametrize(
    ("n_folds", "n_seeds", "same", "few"),
    [(3, 1, False, True), (4, 3, True, True), (3, 2, False, False), (5, 1, True, False)],
)
def test_few_folds_give_no_number_of_samples(n_folds, n_seeds, same, few):
    design = DESIGN._replace(n_folds=n_folds, n_seeds=n_seeds, same_folds=same)
    assert design.is_few == few
    (only,) = verdicts_of(design=design._replace(same_folds=False), left=UNCERTAIN)
    told = f"{n_folds} folds x {n_seeds} seed{'s' * (n_seeds > 1)} are too few to tell"
    if few and not same:
        assert f"{told}; run again with cv=5, seeds=3." in only.sentence
        assert "samples" not in only.sentence and only.remedy == "run again with cv=5, seeds=3"
    else:
        assert "samples would" in only.sentence and only.remedy == "more samples, folds or seeds"


def test_with_one_split_only_more_test_samples_help():
    one = DESIGN._replace(one_split=True, unit="test samples")
    (only,) = verdicts_of(design=one, left=UNCERTAIN)
    assert only.remedy == "more test samples" and "test samples would" in only.sentence


def test_nothing_starves_is_not_said_where_nobody_can_tell():
    """Alone both are guesses, so that neither has a share or a bound; together they are not."""
    noise = {**dict.fromkeys(("alone", "probe_joint", "probe_alone"), (0.5, 0.05))}
    noise.update(probe_untrained=(0.49, 0.05), in_joint=0.5)
    (only,) = verdicts_of(left=noise, right=noise)
    assert only.kind == "cannot be told" and only.modality is None
    assert "whether a modality starves cannot be told" in only.sentence


def test_a_row_that_is_better_only_by_itself_is_told_where_nothing_else_is():
    # t = 2.7 of 14 degrees of freedom: 0.02, above what Holm leaves for one of 10 questions.
    scores = {"stacked linear": (0.99, 0.06)}
    found = verdicts_of(scores, left=UNCERTAIN)
    assert kinds(found) == [("cannot be told", "left"), ("cannot be told", None)]
    assert "stacked linear scores 9.0 points more than the network as given" in found[1].sentence
    assert found[1].remedy == "look at stacked linear" and found[1].low > 0
    assert "not corrected for several comparisons" in found[1].sentence


def test_a_modality_of_noise_adds_nothing():
    noise = dict.fromkeys(("alone", "in_joint", "probe_untrained", "probe_joint"), 0.5)
    noise.update(probe_alone=0.5, permutation_drop=0.0, shapley=0.0)
    verdicts = verdicts_of(right=noise)
    assert kinds(verdicts) == [("adds nothing", "right"), ("nothing starves", None)]
    assert verdicts[0].remedy == "leave it out" and "no remedy" not in verdicts[1].sentence


def test_a_modality_that_is_informative_alone_never_adds_nothing():
    unused = {"permutation_drop": 0.0, "shapley": 0.0}
    assert ("adds nothing", "right") not in kinds(verdicts_of(right=unused))


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("late fusion", "loses to late fusion"),
        ("best single", "loses to best single"),
        ("stacked linear", "loses to linear"),
    ],
)
def test_joint_training_that_loses_is_named(row, kind):
    verdicts = verdicts_of({row: 0.95})
    assert kinds(verdicts) == [(kind, None)]
    assert verdicts[0].size == pytest.approx(0.05) and "95.0 %" in verdicts[0].sentence


def test_an_interaction_is_only_together_and_then_nothing_starves():
    scores = {"joint": 0.52, "late fusion": 0.52, "mlp": 0.9}
    starved = {"probe_joint": 0.6, "in_joint": 0.4, "permutation_drop": 0.0, "shapley": 0.0}
    verdicts = verdicts_of(scores, ("mlp", "joint"), left=starved)
    assert kinds(verdicts) == [("only together", None)]
    assert "38.0 points" in verdicts[0].sentence and "No modality starves" in verdicts[0].sentence


def test_a_small_interaction_is_not_only_together():
    scores = {"joint": 0.8, "late fusion": 0.8, "mlp": 0.9}
    assert "only together" not in [v.kind for v in verdicts_of(scores, ("mlp", "joint"))]


def test_what_cannot_be_told_is_said_with_the_samples_it_needs():
    parts = {name: modality(50 * k) for k, name in enumerate(NAMES)}
    parts["left"]["probe_joint"] = spread(0.77, 0.06, seed=3)
    measures = {what: {name: parts[name][what] for name in NAMES} for what in parts["left"]}
    rows = {"joint": spread(0.9), "majority": spread(0.5, 0.001)}
    (only,) = give_verdicts(rows, measures, DESIGN, "joint", None, Wording(True))
    assert (only.kind, only.modality) == ("cannot be told", "left")
    assert only.low < 0 < only.high and "samples would be needed to tell" in only.sentence


def test_a_network_that_guesses_is_said_to_guess():
    scores = {"joint": 0.5, "late fusion": 0.5}
    assert kinds(verdicts_of(scores)) == [("not told from guessing", None)]


def test_that_no_remedy_is_needed_is_not_said_where_another_row_is_better():
    (only,) = verdicts_of({"inforeg": 0.95})
    assert only.kind == "nothing starves" and "no remedy" not in only.sentence
    assert "inforeg scores 5.0 points more" in only.sentence


def test_false_verdicts_on_exchangeable_modalities_stay_at_five_percent():
    """Scores of folds with the correlation n_test / n that Nadeau and Bengio assume, no effects."""
    rng, n_reports, false = np.random.default_rng(0), 150, 0

    def draw():
        return rng.standard_normal(1) * np.sqrt(0.2) + rng.standard_normal(SHAPE) * np.sqrt(0.8)

    for _ in range(n_reports):
        parts = {}
        for name in NAMES:
            mean = modality(0)
            parts[name] = {what: values.mean() + 0.02 * draw() for what, values in mean.items()}
        measures = {what: {name: parts[name][what] for name in NAMES} for what in parts["left"]}
        rows = {row: 0.9 + 0.02 * draw() for row in ("late fusion", "best single", "joint")}
        verdicts = give_verdicts(rows, measures, DESIGN, "joint", None, Wording(True))
        quiet = ("nothing starves", "cannot be told")
        false += any(v.kind not in quiet for v in verdicts)
    assert false <= 0.05 * n_reports + 2 * np.sqrt(0.05 * 0.95 * n_reports)


# The recommendation


def test_the_simpler_row_within_one_standard_error_is_recommended():
    base = spread(0.9)
    error = 0.01 * np.sqrt(1 / 15 + 100 / 400)
    noise = spread(0.0, 0.01, seed=5)
    scores = {"deep": base, "simple": base - 0.9 * error + noise, "poor": base - 0.2 + noise}
    levels = {"deep": 3, "simple": 1, "poor": 0}
    assert choose_row(scores, levels, DESIGN) == "simple"
    scores["simple"] = base - 1.1 * error + noise
    assert choose_row(scores, levels, DESIGN) == "deep"


def test_the_recommendation_says_why_and_what_is_tied():
    base, words = spread(0.9), Wording(True)
    noise = spread(0.0, 0.01, seed=5)
    scores = {"deep": base, "simple": base - 0.004 + noise, "joint": base - 0.004 + noise}
    levels = {"deep": 3, "simple": 1, "joint": 2}
    told = compare(scores["deep"] - scores["simple"], DESIGN)
    assert told.standard_error > 0.004
    text = why_row(scores, levels, DESIGN, "joint", words)
    ends = f"{100 * told.low:.1f} to {100 * told.high:.1f}"
    assert text == (
        "It is the simplest row within one standard error of the best, deep, which scores 0.4 "
        f"points more (95 % interval {ends}); joint is within one standard error of it, too. No "
        "row is certainly better than the network as given (joint), so that switching is not a "
        "sure gain."
    )
    levels["deep"] = 0
    text = why_row(scores, levels, DESIGN, "joint", words)
    assert text.startswith("It has the best score; ")
    assert "simple and joint are as good within one standard error, and no simpler." in text
    scores["deep"] = base + 0.1
    assert why_row(scores, levels, DESIGN, "joint", words) == "It has the best score."


def test_rows_that_failed_are_not_recommended():
    scores = {"broken": np.full(SHAPE, np.nan), "fine": spread(0.7)}
    assert choose_row(scores, {"broken": 0, "fine": 5}, DESIGN) == "fine"


# Words


@pytest.mark.parametrize(
    ("percent", "score", "size"), [(True, "85.7 %", "9.4 points"), (False, "0.857", "0.094")]
)
def test_scores_are_told_in_percent_only_where_they_are_shares(percent, score, size):
    words = Wording(percent)
    assert words.score(0.857) == score and words.size(0.094) == size


def test_an_interval_ends_where_scores_do_and_needs_three_differences():
    words = Wording(True, limits=(0.0, 1.0))
    told = compare(spread(0.95, 0.2), DESIGN)
    assert told.high > 1 and words.interval(told, of_score=True).endswith(" to 100.0")
    assert words.interval(compare(spread(0.0, 4.0), DESIGN)) == "-100.0 to 100.0"
    two = compare(np.array([[0.1, 0.2]]), DESIGN)
    assert words.interval(two) == "too few folds" == words.interval(two, of_score=True)
    assert words.interval(compare(np.array([[0.1, 0.2, 0.3]]), DESIGN)) != "too few folds"
    assert Wording(False).interval(compare(spread(1.5, 0.01), DESIGN), of_score=True) > "1.4"


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("accuracy", (0, 1)),
        ("balanced_accuracy", (0, 1)),
        ("roc_auc_ovr", (0, 1)),
        ("f1_macro", (0, 1)),
        ("r2", (-np.inf, 1)),
        ("neg_log_loss", (-np.inf, 0)),
        ("matthews_corrcoef", (-1, 1)),
        ("my_score", (-np.inf, np.inf)),
    ],
)
def test_scores_end_where_they_must(name, limits):
    assert limits_of(name) == limits


def test_the_modality_that_is_best_alone_is_named_with_those_to_leave_out():
    verdicts = verdicts_of({"best single": 0.95}, right={"alone": 0.95})
    assert "the best single modality, right, alone (95.0 %)" in verdicts[0].sentence
    assert verdicts[0].remedy == "leave left out, or stack"


def test_an_encoder_that_is_better_than_alone_by_chance_is_not_called_worse():
    parts = {name: modality(50 * k) for k, name in enumerate(NAMES)}
    parts["left"]["probe_joint"] = spread(0.81, 0.1, seed=3)
    measures = {what: {name: parts[name][what] for name in NAMES} for what in parts["left"]}
    rows = {"joint": spread(0.9), "majority": spread(0.5, 0.001)}
    (only,) = give_verdicts(rows, measures, DESIGN, "joint", None, Wording(True))
    assert "1.0 points more from it" in only.sentence
    low, high = only.low, only.high  # of the one trained alone less this one
    assert f"interval {-100 * high:.1f} to {-100 * low:.1f})" in only.sentence
    assert "2,000 samples would" in only.sentence
