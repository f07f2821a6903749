"""Verdicts in words: which modality, how much, how sure, and what to do."""

import numpy as np

from ..utils.words import listed
from ._verdicts import Verdict
from ._words import folds_told

__all__ = ["Wording"]

_KINDS = {None: "Classifier or ...Regressor", True: "Classifier", False: "Regressor"}
_SINGLE = "not corrected for several comparisons"

_ASKED = {"starving encoder": "the encoder starves", "neglecting head": "the head neglects it"}
#: What a neglecting head takes beside a difference, and may not be certain; see `_verdicts`.
_BUT = (
    "",
    "that it is larger than what a head leaves unread of the network trained alone is not",
    "that the encoder trained alone is better than guessing is not",
    "that its Shapley value is below three quarters of its fair share is not",
)


class Wording:
    """Numbers of one score in words.

    Parameters
    ----------
    percent : bool
        Whether the score is a share of right answers, told in percent and points.
    classifies : bool or None, default=None
        Whether remedies name classifiers or regressors; None names both.
    limits : tuple of float, default=(-inf, inf)
        Least and largest value of the score, beyond which no interval is shown.
    """

    def __init__(self, percent, classifies=None, limits=(-np.inf, np.inf)):
        self.percent = percent
        self.limits = limits
        kind = _KINDS[classifies]
        self._unimodal = (
            'train with unimodal losses (method="inforeg", method__alpha=0, or '
            f"MultimodalInfoReg{kind} with alpha=0, unimodal_weight=1)"
        )
        self._late = f"late fusion of networks trained alone (LateFusion{kind})"

    def score(self, value):
        """A score: "85.7 %" or "0.857"."""
        if not np.isfinite(value):
            return "-"
        return f"{100 * value:.1f} %" if self.percent else f"{value:.3f}"

    def number(self, value):
        """The same without the unit, for tables."""
        if not np.isfinite(value):
            return "-"
        return f"{100 * value:.1f}" if self.percent else f"{value:.3f}"

    def size(self, value):
        """A difference: "9.4 points" or "0.094"."""
        if not np.isfinite(value):
            return "-"
        return f"{100 * value:.1f} points" if self.percent else f"{value:.3f}"

    def interval(self, told, signed=False, of_score=False):
        """An interval: "3.1 to 15.2"; of a difference, or of a score.

        It ends where scores, or their differences, do. Of two differences it would say nothing.
        """
        if told.df <= 1:
            return "too few folds"
        if not (np.isfinite(told.low) and np.isfinite(told.high)):
            return "-"
        least, most = self.limits
        if not of_score:
            least, most = least - most, most - least
        low, high = np.clip([told.low, told.high], least, most)
        scale, places = (100, 1) if self.percent else (1, 3)
        sign = "+" if signed else ""
        return f"{scale * low:{sign}.{places}f} to {scale * high:{sign}.{places}f}"

    def sure(self, told):
        """How sure a number is: "95 % interval 3.1 to 15.2" (str)."""
        if told.df <= 1:
            return "too few folds for an interval"
        return f"{100 * float(told.level):.3g} % interval {self.interval(told)}"

    def untrained_is_better(self, name, told):
        """A note: training does not help an encoder (str)."""
        return (
            f"{name}: training does not help its encoder: a probe of untrained features scores "
            f"{self.size(float(told.estimate))} more than the network trained alone "
            f"({self.sure(told)}, {_SINGLE}). Try other scaling, lr, more epochs or trees."
        )

    def inside(self, raw, calibrated):
        """What a modality scores inside the joint network, so that a gap to a probe fits it."""
        told, better = self.score(raw), self.score(calibrated)
        return told if told == better else f"{better} after calibration, {told} before"

    def verdict(self, kind, modality, told, facts):
        """A verdict from its comparison and the numbers around it.

        Parameters
        ----------
        kind : str
        modality : str or None
        told : Comparison
        facts : dict

        Returns
        -------
        Verdict
        """
        made = {
            "starving encoder": self._starving,
            "neglecting head": self._neglecting,
            "adds nothing": self._nothing_added,
            "loses to late fusion": self._loses,
            "loses to best single": self._loses,
            "loses to linear": self._loses,
            "only together": self._together,
        }[kind]
        text, remedy = made(modality, told, facts, kind)
        return _made(kind, modality, told, text, remedy)

    def _starving(self, name, told, facts, kind):
        share = facts["share"]  # which is told: the verdict needs something to learn
        text = (
            f"{name}: the encoder starves. It learned {self.share(share.estimate)} (95 % interval "
            f"{self.share_interval(share)}) of what it learns alone; a probe reads "
            f"{self.score(facts['probe_joint'])} from it, and "
            f"{self.score(facts['probe_alone'])} from the one trained alone: "
            f"{self.size(float(told.estimate))} less ({self.sure(told)})."
        )
        return text, self._fixes(self._unimodal, facts)

    def _fixes(self, remedy, facts):
        """A remedy, and what the compared rows say of it."""
        rows = facts["rows"]
        given = rows[facts["given"]]
        gains = {
            row: rows[row] - given
            for row in ("joint*", "late fusion")
            if row in rows and row != facts["given"]
        }
        if not gains:
            return remedy
        if max(gains.values()) <= 0 and ("joint*" in gains or facts["given"] == "joint*"):
            neither = " nor ".join(gains)
            whole = f"neither {neither} raises" if len(gains) > 1 else f"{neither} does not raise"
            return f"none is needed for this score: {whole} it"
        return f"{remedy}. On these data {self._gained(gains)}"

    def _gained(self, gains):
        """Rows against the network as given, the first one in full."""
        texts, before = [], None
        for row, gain in gains.items():
            what = f"{row} (the network with unimodal losses)" if row == "joint*" else row
            if float(self.number(abs(gain))) == 0:
                texts.append(f"{what} scored the same")
                continue
            verb = "gained" if gain > 0 else "lost"
            size = self.size(abs(gain)) if before is None else self.number(abs(gain))
            text = f"{what} {size}" if verb == before else f"{what} {verb} {size}"
            if before is None:
                text += f" {'over' if gain > 0 else 'against'} the network as given"
            texts.append(text)
            before = verb
        return ", ".join(texts)

    @staticmethod
    def share(value):
        """A learned share: "49 %"."""
        if not np.isfinite(value):
            return "-"
        return "nothing" if value <= 0 else f"{100 * value:.0f} %"

    @staticmethod
    def share_interval(told):
        """The interval of a learned share, in percent: "50 to 90"."""
        return f"{100 * told.low:.0f} to {100 * told.high:.0f}"

    def _neglecting(self, name, told, facts, kind):
        told_share = facts["share"]
        share = f"{100 * told_share.estimate:.0f} %, {self.share_interval(told_share)}"
        if facts["starving"]:
            also = "the head neglects it, too"
        elif facts["behind"] == "slightly":
            also = f"the head neglects it; the encoder learned a little less than alone ({share})"
        elif facts["behind"]:
            also = f"the head neglects it; the encoder may have learned less than alone ({share})"
            also += ", which is not certain"
        elif facts["fine"]:
            also = "the encoder is fine, the head neglects it"
        else:
            also = "the head neglects it (whether the encoder starves, too, cannot be told)"
        text = (
            f"{name}: {also}. Inside the joint network it scores {self.score(facts['in_joint'])}, "
            f"a probe reads {self.score(facts['probe_joint'])} from the same features: "
            f"{self.size(float(told.estimate))} unused ({self.sure(told)})."
        )
        if facts["starving"]:  # which has said what it gains
            return text, "the same"
        return text, self._fixes(f"{self._unimodal}, or {self._late}", facts)

    def _nothing_added(self, name, told, facts, kind):
        text = (
            f"{name}: adds nothing. With its rows shuffled the score falls by "
            f"{self.size(float(told.estimate))} ({self.sure(told)}), and alone it scores "
            f"{self.score(facts['alone'])}, guessing {self.score(facts['baseline'])}."
        )
        return text, "leave it out"

    def _loses(self, name, told, facts, kind):
        row = kind.removeprefix("loses to ")
        if row == "linear":
            row = name
        alone = facts["alone_by"]
        best = max(alone, key=alone.get)
        others = ", ".join(name for name in alone if name != best)
        whom = {
            "late fusion": "late fusion of networks trained alone",
            "best single": f"the best single modality, {best}, alone",
            "linear on all": "one linear model on all modalities",
            "stacked linear": "stacked linear models",
        }[row]
        rows = facts["rows"]
        text = (
            f"training all together ({facts['given']}, {self.score(rows[facts['given']])}) loses "
            f"to {whom} ({self.score(rows[row])}) by {self.size(float(told.estimate))} "
            f"({self.sure(told)})."
        )
        remedies = {"late fusion": self._late, "best single": f"leave {others} out, or stack"}
        linear = f"take it ({row}), or train the network otherwise"
        return text, remedies.get(row, linear)

    def _together(self, name, told, facts, kind):
        with_, without = facts["interacting"]
        rows = facts["rows"]
        text = (
            "the modalities only make sense together: a network that lets them interact "
            f"({with_}) scores {self.score(rows[with_])}, the additive one ({without}) "
            f"{self.score(rows[without])}: {self.size(float(told.estimate))} "
            f"({self.sure(told)}). No modality starves."
        )
        return text, 'take an interacting fusion (fusion="mlp")'

    def nothing(self, names, untrained, all_is_well, better):
        """Modalities are fine.

        Parameters
        ----------
        names : list of str
        untrained : list of str
            Of these, those whose encoder learns next to nothing when trained alone.
        all_is_well : bool
            Whether there is no other verdict.
        better : tuple of str and Comparison, or None
            A row that scores more than the network as given.

        Returns
        -------
        Verdict
        """
        which = f" ({', '.join(names)})" if names else ""
        remedy, text = "", f"nothing starves{which}"
        if untrained:
            whose = f"encoder{'s' * (len(untrained) > 1)} of {listed(untrained)}"
            text += f": training adds next to nothing to the {whose}, even alone"
        if all_is_well and better is None:
            remedy = "none is needed"
            text += "; no remedy is needed."
        elif all_is_well:
            row, told = better
            remedy = f"look at {row}"
            text += (
                f", but {row} scores {self.size(float(told.estimate))} more than the network as "
                f"given ({self.sure(told)}, {_SINGLE})."
            )
        else:
            text += "."
        nan = float("nan")
        return Verdict("nothing starves", None, nan, nan, nan, nan, remedy, text)

    def nobody_knows(self, design, better):
        """Of no modality can be told whether it starves.

        Parameters
        ----------
        design : Design
        better : tuple of str and Comparison, or None

        Returns
        -------
        Verdict
        """
        few = "so few test samples" if design.one_split else "so few folds"
        why = (
            f"with {few}"
            if design.is_few or design.one_split
            else ("where no modality alone can be told from guessing")
        )
        text = f"whether a modality starves cannot be told {why}.{self._better(better)}"
        nan = float("nan")
        return Verdict("cannot be told", None, nan, nan, nan, nan, _again(design), text)

    def _better(self, better):
        if better is None:
            return ""
        row, told = better
        more = f"{self.size(float(told.estimate))} more ({self.sure(told)}, {_SINGLE})"
        return f" {row} scores {more}."

    def better(self, better):
        """A row scores more than the network as given, by its own interval only.

        Parameters
        ----------
        better : tuple of str and Comparison

        Returns
        -------
        Verdict
        """
        row, told = better
        text = (
            f"{row} scores {self.size(float(told.estimate))} more than the network as given "
            f"({self.sure(told)}, {_SINGLE}); among all questions of this report this is not "
            "certain."
        )
        return _made("cannot be told", None, told, text, f"look at {row}")

    def guessing(self, given, score, better):
        """The network as given cannot be told from guessing."""
        remedy = (
            "train longer, take other encoders, an interacting fusion, or more samples or folds"
        )
        text = (
            f"the network as given ({given}, {self.score(score)}) cannot be told from guessing, so "
            f"that nothing can be said of its encoders.{self._better(better)} Remedy: {remedy}."
        )
        nan = float("nan")
        return Verdict("not told from guessing", None, nan, nan, nan, nan, remedy, text)

    def unknown(self, kind, name, told, needed, design, inside="", but=0):
        """It cannot be told whether a modality starves, or its head neglects it.

        Parameters
        ----------
        kind : {"starving encoder", "neglecting head"}
        name : str
        told : Comparison
        needed : SamplesNeeded
        design : Design
        inside : str, default=""
            What a modality scores inside the joint network, in words.
        but : int, default=0
            What else is not certain, though `told` is: the place in `_BUT`.

        Returns
        -------
        Verdict
        """
        size = float(told.estimate)
        than = f"{self.size(abs(size))} {'less' if size > 0 else 'more'}"
        sure = self.sure(told if size > 0 else _turned(told))
        doubt = f"it cannot be told whether {_ASKED[kind]}."
        if kind == "starving encoder":
            fact = f"A probe reads {than} from it than from the one trained alone ({sure})"
        else:
            than = f"{self.size(size)} more than it scores inside the joint network ({inside}"
            fact = f"A probe of it scores {than}; {sure})"
            if but:
                doubt = f"it is not certain that {_ASKED[kind]}."
                fact = f"A probe of it scores {than}). This gap is certain ({sure}); {_BUT[but]}"
        text = f"{name}: {doubt} {fact}; {self._how_many(needed, size, design)}."
        return _made("cannot be told", name, told, text, _again(design))

    @staticmethod
    def _how_many(needed, size, design):
        """How many samples would do, where there are enough folds to say so."""
        if design.is_few:
            told = folds_told(design.n_folds, design.n_seeds, design.same_folds)
            return f"{told} are too few to tell; {_again(design)}"
        n = float(needed.to_tell)
        if size <= 0:
            n = _rounded(float(needed.for_half_width))
            halved = f"about {n:,} {design.unit} would halve the interval"
            return f"{halved} (here {design.n_samples:,})"
        if np.isfinite(n) and n <= 100 * design.n_samples:
            n = _rounded(max(n, design.n_samples + 1))
            return f"about {n:,} {design.unit} would be needed to tell (here {design.n_samples:,})"
        return f"no reasonable number of {design.unit} would tell"


def _turned(told):
    """The same of the difference the other way round."""
    return told._replace(estimate=-told.estimate, low=-told.high, high=-told.low)


def _again(design):
    """What to do where something cannot be told."""
    if design.one_split:
        return f"more {design.unit}"
    if not design.is_few:
        return "more samples, folds or seeds"
    if design.unit == "groups" and design.n_samples < 5:
        return "run again with more groups, cv=5 and seeds=3"
    return "run again with cv=5, seeds=3"


def _made(kind, modality, told, text, remedy):
    advice = "" if kind == "cannot be told" else f" Remedy: {remedy}."
    numbers = (float(told.estimate), float(told.low), float(told.high), float(told.level))
    return Verdict(kind, modality, *numbers, remedy, text + advice)


def _rounded(n):
    """Two digits are enough."""
    digits = max(0, int(np.floor(np.log10(n))) - 1)
    return int(np.ceil(n / 10**digits) * 10**digits)
