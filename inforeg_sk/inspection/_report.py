"""What `diagnose` found: plain numbers, and what they say."""

import json
from functools import cached_property
from pathlib import Path

import numpy as np

from ._notes import notes_of
from ._recommend import choose_row, why_row
from ._report_html import as_html, as_page
from ._report_text import as_text, interval_kind
from ._resampled import Spread
from ._style import limits_of
from ._verdicts import Design, compare, give_verdicts, is_nothing_to_learn, share_of
from ._wording import Wording

__all__ = ["DiagnosisReport"]

_FORMAT = 1
_ARRAYS = ("scores", "resampled_scores", "alone_on_all", "cooperation", "joint_block", "on_common")
#: What older reports do not have.
_LATER = {
    "resampled_scores": {},
    "resampled_measures": {},
    "class_counts": None,
    "training": None,
}
_BEST_SINGLE = "best single"


class DiagnosisReport:
    """What `diagnose` measured, and what it says.

    Printed, it is verdicts and two tables; in a notebook the same as HTML. It is recommended to get
    it from `diagnose` or `from_json`.

    Parameters
    ----------
    data : dict
        Plain values and arrays of shape (n_seeds, n_folds).

    Attributes
    ----------
    data : dict
        All that was measured: ``"scores"`` by row, ``"measures"`` by measure and modality, ...
        Of one split, ``"resampled_scores"`` and ``"resampled_measures"`` are the same in bootstrap
        resamples of the test part, as means over the seeds.
    scores_ : dict of str to ndarray of shape (n_seeds, n_folds)
        Scores of the rows of the comparison, on held-out samples.
    measures_ : dict of str to dict of str to ndarray of shape (n_seeds, n_folds)
        By measure and modality, on the held-out samples that have the modality: ``"alone"`` (the
        network trained on it alone), ``"alone_common"`` (the same on samples that have all
        modalities), ``"in_joint"`` (its part of the joint network's outputs),
        ``"in_joint_calibrated"`` (the same times a factor that is learned on the training part),
        ``"probe_untrained"``, ``"probe_joint"``, ``"probe_alone"`` (linear probes of the encoder
        before training, trained jointly, trained alone), ``"permutation_drop"``, ``"shapley"``, and
        ``"baseline"`` (guessing).
    verdicts_ : list of Verdict
        Each with `kind`, `modality`, `size`, `low`, `high`, `level`, `remedy` and `sentence`.
    notes_ : list of str
        What to look at beside, without a correction for several comparisons: whether a modality may
        contain the target, and whether training helps an encoder at all.
    recommended_ : str
        The row that is recommended.
    recommendation_ : estimator
        It, not fitted, for what was given to `diagnose`; a Pipeline where steps are needed. Not
        known to a report from JSON.

    See Also
    --------
    diagnose : Makes the report.
    """

    def __init__(self, data):
        self.data = data
        self._recommendation = None

    # What the numbers say

    @property
    def scores_(self):
        return self.data["scores"]

    @property
    def measures_(self):
        return self.data["measures"]

    @property
    def modalities_(self):
        """Names of the modalities (tuple of str)."""
        return tuple(self.data["modalities"])

    @property
    def wording(self):
        """How scores are told (`Wording`)."""
        classifies = self.data["task"] == "classification"
        return Wording(self.data["percent"], classifies, limits_of(self.data["scoring"]))

    @property
    def design(self):
        """Numbers of samples, or groups, and folds (`Design`)."""
        if self.one_split:
            unit = "test samples" if self.data["n_groups"] is None else "test groups"
            sizes = self.data["n_train"], self.data["n_test"]
            return Design(int(sizes[1]), *sizes, True, unit, one_split=True)
        n = self.data["n_samples"] if self.data["n_groups"] is None else self.data["n_groups"]
        sizes = self.data["n_train"], self.data["n_test"]
        unit = "samples" if self.data["n_groups"] is None else "groups"
        counts = {"n_folds": self.data["n_folds"], "n_seeds": len(self.data["seeds"])}
        return Design(n, *sizes, self.data["same_folds"], unit, **counts)

    @property
    def one_split(self):
        """Whether there is one split, and intervals are those of a bootstrap (bool)."""
        return self.data["n_folds"] == 1

    @property
    def _scores(self):
        """Scores, of one split with those of resamples."""
        return _spreads(self.scores_, self.data["resampled_scores"])

    @property
    def _measures(self):
        resampled = self.data["resampled_measures"]
        return {k: _spreads(v, resampled.get(k, {})) for k, v in self.measures_.items()}

    @cached_property
    def verdicts_(self):
        interacting = self.data["interacting"]
        return give_verdicts(
            self._scores,
            self._measures,
            self.design,
            self.data["given"],
            None if interacting is None else tuple(interacting),
            self.wording,
        )

    @property
    def notes_(self):
        return notes_of(self._scores, self._measures, self.design, self.wording)

    @property
    def recommended_(self):
        return choose_row(self._scores, self._levels, self.design)

    @property
    def _levels(self):
        """How simple the rows are of which one may be recommended."""
        levels = {name: row["level"] for name, row in self.data["rows"].items()}
        if any(row[name] < self.data["n_samples"] for name, row in self.data["presence"].items()):
            levels.pop(_BEST_SINGLE, None)  # an estimator of one modality cannot do without it
        return levels

    @property
    def why_recommended(self):
        """Why this row is recommended, and what it is tied with (str)."""
        given = self.data["given"]
        return why_row(self._scores, self._levels, self.design, given, self.wording)

    @property
    def recommendation_(self):
        if self._recommendation is None:
            error = AttributeError(
                "A report from JSON has no estimators, so that recommendation_ is not known. Run "
                f"diagnose again in this session, or build recommended_, {self.recommended_!r}: "
                f"{self.data['rows'][self.recommended_]['text']}."
            )
            # A name of its own, or Python would look for names that are alike.
            error.name = ""
            raise error
        return self._recommendation

    def gain(self, row):
        """How much more a row scores than the network as given.

        Parameters
        ----------
        row : str

        Returns
        -------
        Comparison
            With its 95 % interval.
        """
        return compare(self._scores[row] - self._scores[self.data["given"]], self.design)

    def score(self, row):
        """Mean score of a row, with its 95 % interval (`Comparison`)."""
        return compare(self._scores[row], self.design)

    def measure(self, what, modality):
        """Mean of a measure of a modality, with its 95 % interval (`Comparison`)."""
        return compare(self._measures[what][modality], self.design)

    def learned_share(self, modality):
        """Share of what the encoder learns alone that it learned as given.

        Parameters
        ----------
        modality : str

        Returns
        -------
        Comparison
            The ratio of the means of PJ - P0 and PA - P0 over folds and seeds; its 95 % interval is
            that of the mean of ``(PJ - P0 - s (PA - P0)) / mean(PA - P0)`` around the ratio s (the
            delta method), by the corrected resampled t or the bootstrap. NaN where the interval of
            PA - P0 includes 0: there is nothing to learn (`nothing_to_learn`), or nobody can tell.
        """
        return share_of(self._of(modality), self.design)

    def nothing_to_learn(self, modality):
        """Whether an encoder trained alone surely brings next to nothing over an untrained one.

        Parameters
        ----------
        modality : str

        Returns
        -------
        bool
            True where the interval of PA - P0 is below 10 % of what is learned; False, too, where
            it may bring more, and the folds cannot tell.
        """
        return is_nothing_to_learn(self._of(modality), self.design)

    def _of(self, modality):
        """Measures of a modality."""
        return {what: by_name[modality] for what, by_name in self._measures.items()}

    # Forms

    def __repr__(self):
        return as_text(self)

    def _repr_html_(self):
        return as_html(self)

    def to_frame(self, by="row"):
        """The numbers as a table.

        Parameters
        ----------
        by : {"row", "modality", "fold"}, default="row"
            "row": mean score of each row of the comparison, and its gain over the network as given,
            with 95 % intervals. "modality": means of the measures of each modality, with 95 %
            intervals. "fold": each number by itself, with seed and fold; "cooperation" is what all
            modalities gain over all of them shuffled, beyond the sum of what each gains so.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        makers = {"row": self._by_row, "modality": self._by_modality, "fold": self._by_fold}
        if by not in makers:
            raise ValueError(
                "The 'by' parameter of to_frame must be one of 'row', 'modality', 'fold'. Got "
                f"{by!r}."
            )
        index, records = makers[by]()
        frame = pd.DataFrame(records)
        return frame.set_index(index) if index else frame

    def _by_row(self):
        records = []
        for row in self.scores_:
            told, gain = self.score(row), self.gain(row)
            record = {"row": row, **_numbers("score", told), **_numbers("gain", gain)}
            records.append({**record, "recommended": row == self.recommended_})
        return "row", records

    def _by_modality(self):
        records = []
        for name in self.modalities_:
            record = {"modality": name, "n_samples": self.data["presence"][name][name]}
            for what in self.measures_:
                record.update(_numbers(what, self.measure(what, name)))
            record.update(_numbers("learned_share", self.learned_share(name)))
            records.append(record)
        return "modality", records

    def _by_fold(self):
        tables = [("score", row, values) for row, values in self.scores_.items()]
        for what, by_name in self.measures_.items():
            tables += [(what, name, values) for name, values in by_name.items()]
        tables.append(("cooperation", "all modalities", self.data["cooperation"]))
        records = [
            {"what": what, "of": of, "seed": seed, "fold": k, "value": float(values[i, k])}
            for what, of, values in tables
            for i, seed in enumerate(self.data["seeds"])
            for k in range(self.data["n_folds"])
        ]
        return None, records

    def plot(self, ax=None):
        """Draw the scores of each modality inside the network beside what it reaches alone.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None makes a new figure.

        Returns
        -------
        matplotlib Axes
            With one group of marks a modality: guessing, in joint, the three probes, alone, with
            95 % intervals, and lines at the network as given and at the recommended row.
        """
        from ._report_plot import draw

        return draw(self, ax)

    def to_html(self, path=None, title="Diagnosis"):
        """The report as one HTML file: sentences, tables, and a figure if matplotlib is installed.

        Parameters
        ----------
        path : str or Path, default=None
            File to write; None returns the text.
        title : str, default="Diagnosis"
            Title of the page.

        Returns
        -------
        str or None

        Warns
        -----
        UserWarning
            If the figure cannot be drawn: it is left out.
        """
        return _given_or_written(as_page(self, title), path)

    def to_json(self, path=None):
        """All numbers as JSON.

        Parameters
        ----------
        path : str or Path, default=None
            File to write; None returns the text.

        Returns
        -------
        str or None
        """
        verdicts = [verdict._asdict() for verdict in self.verdicts_]
        said = {"verdicts": verdicts, "notes": self.notes_, "interval": interval_kind(self)}
        plain = {"format": _FORMAT, **self.data, **said}
        text = json.dumps(_plain({**plain, "recommended": self.recommended_}), indent=1)
        return _given_or_written(text, path)

    @classmethod
    def from_json(cls, source):
        """The report from what `to_json` gave.

        Parameters
        ----------
        source : str or Path
            The text, or the file.

        Returns
        -------
        DiagnosisReport
            Without `recommendation_`.
        """
        text = str(source)
        if not text.lstrip().startswith("{"):
            text = Path(source).read_text(encoding="utf-8")
        data = json.loads(text)
        if data.pop("format", None) != _FORMAT:
            raise ValueError("from_json reads what DiagnosisReport.to_json gave; this is not it.")
        for key in ("verdicts", "notes", "recommended", "interval"):  # they follow from the numbers
            data.pop(key, None)
        data = {**_LATER, **data}
        for key in _ARRAYS:
            value = data[key]
            data[key] = _arrays(value)
        for key in ("measures", "resampled_measures"):
            data[key] = {what: _arrays(value) for what, value in data[key].items()}
        return cls(data)


def _given_or_written(text, path):
    if path is None:
        return text
    Path(path).write_text(text, encoding="utf-8")
    return None


def _spreads(values, resampled):
    """Scores by name, with those of resamples where there are some."""
    return {
        name: Spread(found, resampled[name]) if name in resampled else found
        for name, found in values.items()
    }


def _numbers(name, told):
    return {
        name: float(told.estimate),
        f"{name}_low": float(told.low),
        f"{name}_high": float(told.high),
    }


def _arrays(value):
    if isinstance(value, dict):
        return {name: np.array(v, dtype=np.float64) for name, v in value.items()}
    return np.array(value, dtype=np.float64)


def _plain(value):
    """Values that JSON has; what is no finite number is None."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
