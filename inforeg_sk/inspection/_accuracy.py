"""Accuracy, or another score, by modality, in the style of scikit-learn's displays."""

from collections.abc import Mapping

import numpy as np

from ..data.checks import check_rows_beside
from ..data.container import ModalityDict
from ..estimator.scoring import check_single_scoring, one_score
from ..utils.compat import safe_indexing
from ._axes import make_axes, require_matplotlib
from ._modality_rows import ModalityRows
from ._scores import SCORED
from ._style import is_share, name_of_scoring, score_label
from ._unwrap import method_title, unwrap

JOINT = "all"


class ModalityAccuracyDisplay:
    """Accuracy of all modalities together and of each by itself, as bars; or another score.

    A modality whose bar ends far below its mark "trained alone" starves: joint training has not
    taught its encoder what it can learn.

    It is recommended to use `from_estimator` for one fit, and the constructor for means over
    several fits. All parameters are stored as attributes.

    Parameters
    ----------
    scores : dict of str to float
        Accuracies, from 0 to 1, or scores of the kind of `score_name`: "all" is that of the joint
        prediction, the other keys are modalities.
    spread : dict of str to float, default=None
        Half the length of each error bar, such as the standard deviation over seeds. The keys are
        those of `scores`; some may be left out.
    chance : float, default=None
        Score of guessing, drawn as a dashed line.
    alone : dict of str to float, default=None
        Score that a modality reaches when a network is trained on it alone, drawn as a mark
        over its bar; some may be left out.
    score_name : str, default="accuracy"
        What the scores are, such as "r2" or the name of a scikit-learn scorer. Accuracies are drawn
        in percent on axes that are the same in all figures, others as they are.
    n_samples : int, default=None
        How many samples the scores are of.
    name : str, default=None
        Title of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure with the axes.
    bars_ : dict of str to matplotlib Rectangle
        Bars; of accuracies in percent.
    texts_ : dict of str to matplotlib Text
        Numbers on the bars.
    alone_lines_ : dict of str to matplotlib Line2D
        Marks of the modalities trained alone.
    errorbars_ : dict of str to matplotlib ErrorbarContainer
        Error bars.
    chance_line_ : matplotlib Line2D or None
        Line at `chance`.

    See Also
    --------
    FisherTraceDisplay : How the modalities learned, epoch by epoch.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import ModalityAccuracyDisplay
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> display = ModalityAccuracyDisplay.from_estimator(clf, X, y, chance=1 / 3)
    >>> list(display.bars_)
    ['all', 'strong', 'weak']

    Means and standard deviations of two methods, side by side:

    >>> import matplotlib.pyplot as plt
    >>> means = {
    ...     "joint": {"all": 0.75, "audio": 0.46, "text": 0.76},
    ...     "InfoReg": {"all": 0.74, "audio": 0.56, "text": 0.76},
    ... }
    >>> spread = {"all": 0.01, "audio": 0.03, "text": 0.01}
    >>> figure, axes = plt.subplots(1, 2, sharey=True, layout="constrained")
    >>> for ax, (name, scores) in zip(axes, means.items()):
    ...     display = ModalityAccuracyDisplay(scores, spread, alone={"audio": 0.58}, name=name)
    ...     _ = display.plot(ax)
    ...     ax.label_outer()
    """

    def __init__(
        self,
        scores,
        spread=None,
        chance=None,
        *,
        alone=None,
        score_name="accuracy",
        n_samples=None,
        name=None,
    ):
        self.scores = scores
        self.spread = spread
        self.chance = chance
        self.alone = alone
        self.score_name = score_name
        self.n_samples = n_samples
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        scoring=None,
        sample_weight=None,
        chance=None,
        alone=None,
        ax=None,
        name=None,
        legend=True,
        **style,
    ):
        """Score a fitted estimator and plot the scores.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            A fitted classifier or regressor of this library that has ``score_by_modality``, a
            fitted Pipeline that ends in one, or a fitted search, such as GridSearchCV, whose
            `best_estimator_` is either.
        X : as in the estimator's ``fit``
            Samples, preferably ones that the estimator was not fitted on. If some lack modalities,
            all bars are of the samples that have all modalities.
        y : array-like of shape (n_samples,)
            True labels, or values.
        scoring : str, callable or None, default=None
            The name of a scikit-learn scorer or a scorer; None is accuracy, or R^2 of a regressor.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        chance, alone :
            See `ModalityAccuracyDisplay`.
        ax : matplotlib Axes, default=None
            Axes to plot on; None makes a new figure.
        name : str, default=None
            Title of the axes; None uses the balancing method and its non-default settings.
        legend, **style :
            See `plot`.

        Returns
        -------
        ModalityAccuracyDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If `estimator` is of another type.
        ValueError
            If a modality is called "all", or the search has no best estimator
            (``refit=False``).
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        transformers, fitted = unwrap(
            estimator, SCORED, "estimator of this library that has score_by_modality"
        )
        if JOINT in fitted.modalities_:
            raise ValueError(
                f"A modality is called {JOINT!r}, the name of the joint bar here; rename it."
            )
        check_rows_beside(X, {"y": y, "sample_weight": sample_weight})
        for transformer in transformers:
            X = transformer.transform(X)
        scores = fitted.score_by_modality(X, y, sample_weight=sample_weight, scoring=scoring)
        common = _common_samples(fitted, X)  # the samples behind these scores
        if not common.all():
            sample_weight = None if sample_weight is None else np.asarray(sample_weight)[common]
            X = safe_indexing(ModalityDict(X) if isinstance(X, Mapping) else X, common)
            y = safe_indexing(y, common)
        scorer = check_single_scoring(fitted, scoring, f"{cls.__name__}.from_estimator")
        joint = one_score(scorer, fitted, X, y, sample_weight)
        display = cls(
            {JOINT: joint, **scores},
            chance=chance,
            alone=alone,
            score_name=name_of_scoring(scoring, fitted),
            n_samples=int(common.sum()),
            name=_title(fitted) if name is None else name,
        )
        return display.plot(ax, legend=legend, **style)

    def plot(self, ax=None, *, name=None, legend=True, **style):
        """Plot the scores, accuracies in percent.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None makes a new figure.
        name : str, default=None
            Title of the axes; None uses the one given to the constructor.
        legend : bool, default=True
            Whether to draw a legend if there are marks or a chance line to explain.
        **style
            Passed to matplotlib's ``bar``.

        Returns
        -------
        self : ModalityAccuracyDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are no scores, an accuracy (or `chance`) is not in [0, 1], another score is
            not finite, or `spread` or `alone` has a key that the scores lack.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        keys = self._checked()
        ax, self.figure_ = make_axes(ax, self.name if name is None else name)
        self.ax_ = ax
        # The colours of the modalities are those of FisherTraceDisplay; the joint bar is grey.
        colours = ["0.45"] if JOINT in keys else []
        colours += [f"C{i}" for i in range(len(keys) - len(colours))]
        self._scale = 100 if is_share(self.score_name) else 1
        heights = [self._scale * self.scores[key] for key in keys]
        bars = ax.bar(range(len(keys)), heights, **{"color": colours, **style})
        self.bars_ = dict(zip(keys, bars))
        self._plot_references()
        label = score_label(self.score_name)
        of = "" if self.n_samples is None else f" (n = {self.n_samples:,})"
        if self._scale == 100:
            # Always the same limits, with room for the legend, so that axes side by side compare.
            ax.set(ylim=(0, 115), yticks=range(0, 101, 20))
            self.texts_ = {key: _write_value(ax, bar) for key, bar in self.bars_.items()}
            label += " (%)"
        else:
            self._make_room()
            spread = self.spread or {}
            # Beside an error bar.
            self.texts_ = {
                k: _write_beyond(ax, b, 0.2 if k in spread else 0.5) for k, b in self.bars_.items()
            }
        ax.set(xlabel=f"modalities used{of}", ylabel=label)
        ax.set_xticks(range(len(keys)), keys)
        slot = ax.get_window_extent().width / ax.figure.dpi / len(keys)
        if max(map(len, keys)) * 0.08 > slot:  # inches per character: names would overlap
            ax.set_xticks(range(len(keys)), keys, rotation=30, ha="right", rotation_mode="anchor")
        handles, labels = ax.get_legend_handles_labels()
        if legend and handles:
            once = dict(zip(labels, handles))
            ax.legend(
                once.values(),
                once,
                # Bars of scores below 0 hang from the top.
                loc="upper center" if max(heights) > 0 else "lower center",
                ncols=len(once),
                frameon=False,
                fontsize="small",
                columnspacing=1,
                handlelength=1.5,
            )
        return self

    def _checked(self):
        if not isinstance(self.scores, Mapping) or not self.scores:
            raise ValueError(
                f"scores is a dict from {JOINT!r} and the modalities to accuracies; got "
                f"{self.scores!r}."
            )
        for parameter in ("scores", "spread", "alone"):
            for key, value in (getattr(self, parameter) or {}).items():
                if key not in self.scores:
                    raise ValueError(
                        f"{parameter}: {key!r} is not among the scores of "
                        f"{', '.join(map(repr, self.scores))}."
                    )
                if parameter != "spread":
                    self._check_score(f"{parameter}[{key!r}]", value)
        if self.chance is not None:
            self._check_score("chance", self.chance)
        return sorted(self.scores, key=lambda key: key != JOINT)  # the others in the order given

    def _check_score(self, what, value):
        if is_share(self.score_name) and not 0 <= value <= 1:
            raise ValueError(
                f"{what} must be an accuracy in [0, 1]. Got {value!r}. Scores of another kind have "
                "another score_name."
            )
        if not np.isfinite(value):
            raise ValueError(f"{what} must be finite. Got {value!r}.")

    def _make_room(self):
        """Limits with room for the numbers beyond the bars and for the legend."""
        spread = {key: (self.spread or {}).get(key, 0) for key in self.scores}
        ends = [0.0, *(self.alone or {}).values(), *([self.chance] if self.chance else [])]
        ends += [self.scores[key] + side * spread[key] for key in spread for side in (-1, 1)]
        low, high = min(ends), max(ends)
        extent = high - low or 1.0
        up, down = (0.25, 0.1) if max(self.scores.values()) > 0 else (0.03, 0.25)
        self.ax_.set_ylim(low - down * extent if low < 0 else 0, high + up * extent)
        self.ax_.axhline(0, color="black", linewidth=0.8)

    def _plot_references(self):
        """Draw the references: marks, error bars and the chance line."""
        spread, alone = self.spread or {}, self.alone or {}
        self.alone_lines_, self.errorbars_ = {}, {}
        for key, bar in self.bars_.items():
            left, width = bar.get_x(), bar.get_width()
            if key in alone:
                self.alone_lines_[key] = self.ax_.plot(
                    [left, left + width],
                    [self._scale * alone[key]] * 2,
                    color="black",
                    linewidth=2.5,
                    solid_capstyle="butt",
                    label="trained alone",
                )[0]
            if key in spread:
                self.errorbars_[key] = self.ax_.errorbar(
                    left + width / 2,
                    bar.get_height(),
                    self._scale * spread[key],
                    fmt="none",
                    ecolor="0.2",
                    elinewidth=1,
                    capsize=3,
                )
        self.chance_line_ = None
        if self.chance is not None:
            self.chance_line_ = self.ax_.axhline(
                self._scale * self.chance,
                color="black",
                linestyle="--",
                linewidth=1,
                label="chance",
            )


def _common_samples(fitted, X):
    """Which samples have all of the modalities that any has (ndarray of bool)."""
    if hasattr(fitted, "common_samples"):
        return fitted.common_samples(X)
    present = ModalityRows(X, fitted, "ModalityAccuracyDisplay", {}).present
    return np.logical_and.reduce([mask for mask in present.values() if mask.any()])


def _title(fitted):
    """What was fitted, in a line."""
    return method_title(fitted) if hasattr(fitted, "method_") else type(fitted).__name__


def _write_beyond(ax, bar, share):
    """Write a bar's height beyond its end, at a share of its width."""
    height, place = bar.get_height(), bar.get_x() + share * bar.get_width()
    text = f"{height:.3f}" if abs(height) < 100 else f"{height:.4g}"
    return ax.annotate(
        text,
        (place, height),
        (0, 3 if height >= 0 else -3),
        textcoords="offset points",
        ha="center",
        va="bottom" if height >= 0 else "top",
        fontsize="small",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
    )


def _write_value(ax, bar):
    """Write a bar's height at its foot, clear of marks and error bars."""
    from matplotlib.colors import to_rgba

    *rgb, opacity = to_rgba(bar.get_facecolor())
    luminance = opacity * np.dot(rgb, [0.299, 0.587, 0.114]) + 1 - opacity
    inside = bar.get_height() >= 8
    return ax.text(
        bar.get_x() + bar.get_width() / 2,
        2 if inside else bar.get_height() + 1,
        f"{bar.get_height():.1f}",
        ha="center",
        va="bottom",
        color="white" if inside and luminance < 0.6 else "black",
        fontsize="small",
    )
