"""Scores by modality over the epochs, in the style of scikit-learn's displays."""

from collections.abc import Mapping

import numpy as np

from ..callbacks import ScoreByModality
from ._axes import add_legend, epoch_axis, make_axes, require_matplotlib
from ._style import line_of, marker_of, score_label, scored_in_percent
from ._unwrap import method_title, unwrap

__all__ = ["ScoreByModalityDisplay"]

JOINT = "all"


class ScoreByModalityDisplay:
    """Score of each modality alone, and of all together, over the epochs.

    Each modality is a line, with its own line style and marker. Of several fits, such as seeds, it
    is their mean, with a band of a standard deviation on both sides.

    It is recommended to use `from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    scores : dict of str to array-like of shape (n_epochs,) or (n_fits, n_epochs)
        By modality; "all" is that of the joint prediction. Such as a classifier's
        ``curves_["valid_acc"]``.
    score_name : str, default="score"
        What the scores are, such as "accuracy". Shares are drawn in percent.
    samples : str, default=None
        Which samples the scores are of, such as "held-out".
    n_samples : int, default=None
        How many these are.
    chance : float, default=None
        Score of guessing, drawn as a dotted line.
    name : str, default=None
        Title of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure with the axes.
    lines_ : dict of str to matplotlib Line2D
        Line of each modality and "all"; the first epoch is at 0.
    bands_ : dict of str to matplotlib PolyCollection
        Bands; empty with one fit.
    chance_line_ : matplotlib Line2D or None
        Line at `chance`.

    See Also
    --------
    inforeg_sk.callbacks.ScoreByModality : Records the scores.
    ModalityAccuracyDisplay : The scores after training.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.callbacks import ScoreByModality
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import ScoreByModalityDisplay
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> scores = [("by_modality", ScoreByModality(joint=True))]
    >>> clf = MultimodalClassifier(max_epochs=4, callbacks=scores, random_state=0).fit(X, y)
    >>> display = ScoreByModalityDisplay.from_estimator(clf)
    >>> list(display.lines_)
    ['all', 'strong', 'weak']

    Mean and spread over seeds:

    >>> fits = [clf.set_params(random_state=seed).fit(X, y).curves_ for seed in range(2)]
    >>> scores = {m: [curves["train_acc"][m] for curves in fits] for m in ("all", *X)}
    >>> display = ScoreByModalityDisplay(scores, "accuracy", chance=1 / 3).plot()
    >>> sorted(display.bands_)
    ['all', 'strong', 'weak']
    """

    def __init__(
        self,
        scores,
        score_name="score",
        *,
        samples=None,
        n_samples=None,
        chance=None,
        name=None,
    ):
        self.scores = scores
        self.score_name = score_name
        self.samples = samples
        self.n_samples = n_samples
        self.chance = chance
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator, *, curve=None, chance=None, ax=None, name=None, legend=True, **style
    ):
        """Plot the scores that a fit, or several, recorded.

        Parameters
        ----------
        estimator : MultimodalClassifier or MultimodalRegressor, Pipeline, search, or list of these
            Fitted with the callback `inforeg_sk.callbacks.ScoreByModality`. A list, such as fits of
            several seeds, is drawn as mean and band, of the epochs that all of them have.
        curve : str, default=None
            Which of the ``curves_``, such as "valid_acc"; None is that of the (first) callback
            `ScoreByModality`.
        chance : float, default=None
            Score of guessing.
        ax : matplotlib Axes, default=None
            Axes to plot on; None makes a new figure.
        name : str, default=None
            Title of the axes; None uses the balancing method and its non-default settings.
        legend, **style :
            See `plot`.

        Returns
        -------
        ScoreByModalityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If an estimator is not fitted.
        TypeError
            If `estimator` is of another type.
        ValueError
            If a fit recorded no such curve, or the fits differ in what the curve is of.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        several = estimator if isinstance(estimator, list | tuple) else [estimator]
        if not several:
            raise ValueError(f"{cls.__name__}.from_estimator got an empty list of estimators.")
        fits = [_Recorded.of(unwrap(one)[1], curve) for one in several]
        first = fits[0]
        for other in fits[1:]:
            if (other.curve, set(other.scores)) != (first.curve, set(first.scores)):
                raise ValueError(
                    "The estimators recorded different curves: "
                    f"{first.curve!r} of {', '.join(map(repr, first.scores))}, and "
                    f"{other.curve!r} of {', '.join(map(repr, other.scores))}."
                )
        n_epochs = min(len(v) for fit in fits for v in fit.scores.values())
        scores = {m: np.array([fit.scores[m][:n_epochs] for fit in fits]) for m in first.scores}
        sizes = {fit.n_samples for fit in fits}
        display = cls(
            scores,
            first.score_name,
            samples=first.samples,
            n_samples=first.n_samples if len(sizes) == 1 else None,
            chance=chance,
            name=method_title(unwrap(several[0])[1]) if name is None else name,
        )
        return display.plot(ax, legend=legend, **style)

    def plot(self, ax=None, *, name=None, legend=True, **style):
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None makes a new figure.
        name : str, default=None
            Title of the axes; None uses the one given to the constructor.
        legend : bool, default=True
            Whether to draw a legend.
        **style
            Passed to matplotlib's ``plot`` for every line.

        Returns
        -------
        self : ScoreByModalityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are no scores, or those of modalities differ in shape.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        scores = self._checked()
        ax, self.figure_ = make_axes(ax, self.name if name is None else name)
        self.ax_, self.lines_, self.bands_ = ax, {}, {}
        percent = scored_in_percent(self.score_name, scores.values())
        scale = 100 if percent else 1
        n_fits = len(next(iter(scores.values())))
        order = sorted(scores, key=lambda key: key != JOINT)
        # The colours of the modalities are those of the other displays; the joint line is dark.
        alone = [m for m in order if m != JOINT]
        looks = {m: {**line_of(i), "marker": marker_of(i)} for i, m in enumerate(alone)}
        looks[JOINT] = {"color": "0.25", "linestyle": "-", "linewidth": 3, "marker": "*"}
        for m in order:
            mean = scale * scores[m].mean(axis=0)
            epochs = np.arange(len(mean))
            look = {
                **looks[m],
                "markersize": 4,
                "markevery": max(1, len(mean) // 10),
                "label": m,
            }
            self.lines_[m] = ax.plot(epochs, mean, **{**look, **style})[0]
            if n_fits > 1:
                sd = scale * scores[m].std(axis=0, ddof=1)
                color = self.lines_[m].get_color()
                self.bands_[m] = ax.fill_between(
                    epochs, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0
                )
        self.chance_line_ = None
        if self.chance is not None:
            self.chance_line_ = ax.axhline(
                scale * self.chance, color="black", linestyle=":", linewidth=1, label="chance"
            )
        epoch_axis(ax)
        ax.set_ylabel(self._label(percent, n_fits))
        if legend:
            add_legend(ax)
        return self

    def _checked(self):
        if not isinstance(self.scores, Mapping) or not self.scores:
            raise ValueError(
                f"scores is a dict from {JOINT!r} and the modalities to arrays, one value per "
                f"epoch; got {self.scores!r}."
            )
        scores = {m: np.atleast_2d(np.asarray(v, float)) for m, v in self.scores.items()}
        shape = next(iter(scores.values())).shape
        for m, values in scores.items():
            if values.ndim > 2 or values.shape != shape or not values.size:
                raise ValueError(
                    f"scores[{m!r}] must have the shape (n_epochs,) or (n_fits, n_epochs), the "
                    f"same for all. Got {np.shape(self.scores[m])}."
                )
        return scores

    def _label(self, percent, n_fits):
        label = score_label(self.score_name) + (" (%)" if percent else "")
        told = [] if self.samples is None else [f"{self.samples} samples"]
        if self.n_samples is not None:
            told.append(f"n = {self.n_samples:,}")
        if n_fits > 1:
            told.append(f"mean ± sd of {n_fits} fits")
        return label + (f"\n{', '.join(told)}" if told else "")


class _Recorded:
    """What a fit recorded of the scores of its modalities."""

    def __init__(self, curve, scores, n_samples):
        self.curve, self.scores, self.n_samples = curve, scores, n_samples
        part, _, rest = curve.partition("_")
        known = {"train": "training", "valid": "held-out"}
        self.samples = known.get(part)
        self.score_name = rest if self.samples else curve
        self.score_name = {"acc": "accuracy"}.get(self.score_name, self.score_name)

    @classmethod
    def of(cls, fitted, curve):
        """Find the curve of a fitted estimator, and how many samples it is of."""
        curves, n_samples = fitted.curves_, None
        known = {}  # the curves of callbacks, and these
        for _, callback in fitted.callbacks_:
            if isinstance(callback, ScoreByModality):
                names = [callback.curve_of(fitted, held_out) for held_out in (True, False)]
                known.update({n: callback for n in names if n in curves})
        if curve is None:
            curve = next(iter(known), None)
        if not isinstance(curves.get(curve), dict):
            found = [q for q, c in curves.items() if isinstance(c, dict)]
            what = "no scores by modality" if curve is None else f"no curve {curve!r}"
            raise ValueError(
                f"This {type(fitted).__name__} recorded {what}: fit it with "
                "callbacks=[('scores', inforeg_sk.callbacks.ScoreByModality())]. It has "
                f"{', '.join(map(repr, found))}."
            )
        scores = dict(curves[curve])
        if curve in known:
            n_samples = getattr(known[curve], "n_samples_", None)
        # skorch's joint accuracy of the same samples.
        if curve == "valid_acc" and JOINT not in scores and fitted.missing != "allow":
            joint = [row.get("valid_acc") for row in fitted.history_]
            if None not in joint:
                scores[JOINT] = np.array(joint, dtype=float)
        return cls(curve, scores, n_samples)
