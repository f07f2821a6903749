"""How far modalities are apart in gradients and in performance, over the epochs."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from ._axes import add_legend, epoch_axis, make_panels, require_matplotlib
from ._style import line_of, marker_of
from ._traces import recorded_traces, training_size
from ._unwrap import method_title, unwrap

__all__ = ["GapDisplay"]

# Pairs that are drawn unless some are asked for.
_MOST_PAIRS = 6


class GapDisplay:
    """Gap between modalities over the epochs: of their gradients, and of their performance.

    Above, the Fisher trace of one modality divided by that of another (the trace is the mean
    squared norm of an encoder's gradients); 1 is no gap. Below, the performance score of the first
    less that of the second, on the training batches; 0 is no gap. Each pair of modalities is a
    line of the same look in both. Epochs are counted from 0, as in `curves_`.

    Neither gap says that a modality starves: traces depend on how a network is parameterized, and
    a modality that tells less is behind in any training.

    It is recommended to use `from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    fisher_trace : dict of str to array-like of shape (n_epochs,)
        Such as a classifier's ``curves_["fisher_trace"]``.
    performance_score : dict of str to array-like of shape (n_epochs,)
        Of the same modalities, such as ``curves_["performance_score"]``.
    pairs : list of tuple of two str, default=None
        Which modalities are compared. None: every pair, the first of each being the one with the
        larger mean score; of more than 6 pairs the best modality with each other.
    score_name : str, default="performance score"
        What the scores are.
    n_samples : int, default=None
        Of the training part.
    name : str, default=None
        Title of the upper axes.

    Attributes
    ----------
    axes_ : list of two matplotlib Axes
        Of gradients, and of performance.
    ax_ : matplotlib Axes
        The first of these.
    figure_ : matplotlib Figure
        Figure with the axes.
    lines_ : dict of tuple of two str to tuple of two matplotlib Line2D
        By pair: of gradients, and of performance.

    See Also
    --------
    FisherTraceDisplay : The traces themselves.
    inforeg_sk.inspection.learned_share : Whether an encoder learned less than it would alone.

    Examples
    --------
    >>> from inforeg_sk import MultimodalClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import GapDisplay
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> display = GapDisplay.from_estimator(clf)
    >>> [sorted(pair) for pair in display.lines_]
    [['strong', 'weak']]
    """

    def __init__(
        self,
        fisher_trace,
        performance_score,
        *,
        pairs=None,
        score_name="performance score",
        n_samples=None,
        name=None,
    ):
        self.fisher_trace = fisher_trace
        self.performance_score = performance_score
        self.pairs = pairs
        self.score_name = score_name
        self.n_samples = n_samples
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        curve="performance_score",
        pairs=None,
        ax=None,
        name=None,
        legend=True,
        **style,
    ):
        """Plot the gaps of what a fit recorded.

        Parameters
        ----------
        estimator : MultimodalClassifier or MultimodalRegressor, Pipeline or search
            Fitted.
        curve : str, default="performance_score"
            Which of the ``curves_`` has the scores; such as "valid_acc", with the callback
            `inforeg_sk.callbacks.ScoreByModality`.
        pairs :
            See `GapDisplay`.
        ax : matplotlib Axes or array of two, default=None
            Axes to plot on; one is divided, None makes a new figure.
        name : str, default=None
            Title; None uses the balancing method and its non-default settings.
        legend, **style :
            See `plot`.

        Returns
        -------
        GapDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If `estimator` is of another type.
        ValueError
            If the fit recorded no Fisher traces or no such curve, or has one modality only.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        _, fitted = unwrap(estimator)
        traces, curves = recorded_traces(fitted), fitted.curves_
        scores = curves.get(curve)
        if not isinstance(scores, dict):
            found = [q for q, c in curves.items() if isinstance(c, dict)]
            raise ValueError(
                f"This {type(fitted).__name__} recorded no curve {curve!r} by modality. It has "
                f"{', '.join(map(repr, found))}."
            )
        name = method_title(fitted) if name is None else name
        scores = {m: v for m, v in scores.items() if m in traces}
        display = cls(
            traces,
            scores,
            pairs=pairs,
            score_name=curve.replace("_", " "),
            n_samples=training_size(fitted),
            name=name,
        )
        return display.plot(ax, legend=legend, **style)

    def plot(self, ax=None, *, name=None, legend=True, **style):
        """Plot the gaps.

        Parameters
        ----------
        ax : matplotlib Axes or array of two, default=None
            Axes to plot on; one is divided, None makes a new figure.
        name : str, default=None
            Title; None uses the one given to the constructor.
        legend : bool, default=True
            Whether to draw a legend.
        **style
            Passed to matplotlib's ``plot`` for every line.

        Returns
        -------
        self : GapDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are fewer than two modalities, or the arrays do not match.
        """
        owner = type(self).__name__
        require_matplotlib(f"{owner}.plot")
        traces, scores = self._checked()
        pairs = self._chosen(scores)
        self.axes_, self.figure_ = make_panels(ax, 2, 1, 2, (6.4, 2.6), owner, sharex=True)
        self.ax_, below = self.axes_
        self.lines_ = {}
        for i, (a, b) in enumerate(pairs):
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = traces[a] / traces[b]
            ratio = np.where(np.isfinite(ratio) & (ratio > 0), ratio, np.nan)
            look = {**line_of(i), "marker": marker_of(i), "markersize": 4}
            look["markevery"] = max(1, len(ratio) // 10)
            drawn = [(self.ax_, ratio, f"{a} to {b}"), (below, scores[a] - scores[b], None)]
            self.lines_[a, b] = tuple(
                ax.plot(np.arange(len(v)), v, **{**look, "label": label, **style})[0]
                for ax, v, label in drawn
            )
        self.ax_.set_yscale("log")
        for ax, level in ((self.ax_, 1), (below, 0)):
            ax.axhline(level, color="0.3", linewidth=1, zorder=0)
        plain_log_ticks(self.ax_)
        self.ax_.set_ylabel("ratio of Fisher traces\n(1: no gap)")
        below.set_ylabel(f"difference of\n{self.score_name}\n(0: no gap)")
        epoch_axis(below, self.n_samples)
        self.ax_.tick_params(labelbottom=self.ax_.get_subplotspec() is None)
        title = self.name if name is None else name
        if title is not None:
            self.ax_.set_title(title)
        if legend:
            add_legend(below if len(pairs) > 7 else self.ax_, [a for a, _ in self.lines_.values()])
        return self

    def _checked(self):
        found = []
        for parameter in ("fisher_trace", "performance_score"):
            given = getattr(self, parameter)
            if not isinstance(given, Mapping) or len(given) < 2:
                raise ValueError(
                    f"{parameter} must be a dict from two modalities or more to an array, one "
                    f"value per epoch. Got {given!r}."
                )
            found.append({m: np.asarray(v, float) for m, v in given.items()})
        traces, scores = found
        if set(traces) != set(scores):
            raise ValueError(
                f"fisher_trace is of {', '.join(map(repr, traces))}, but performance_score is of "
                f"{', '.join(map(repr, scores))}."
            )
        shapes = {v.shape for values in found for v in values.values()}
        if len(shapes) > 1 or len(next(iter(shapes))) != 1:
            raise ValueError(
                "fisher_trace and performance_score must have one value per epoch, the same "
                f"number for all. Got the shapes {', '.join(map(str, sorted(shapes)))}."
            )
        return traces, scores

    def _chosen(self, scores):
        if self.pairs is not None:
            for pair in self.pairs:
                if isinstance(pair, str) or len(pair) != 2 or not set(pair) <= set(scores):
                    raise ValueError(
                        f"pairs must hold tuples of two of {', '.join(map(repr, scores))}. Got "
                        f"{pair!r}."
                    )
            return [tuple(pair) for pair in self.pairs]
        order = sorted(scores, key=lambda m: -np.nan_to_num(np.mean(scores[m]), nan=-np.inf))
        pairs = list(combinations(order, 2))
        return pairs if len(pairs) <= _MOST_PAIRS else [(order[0], m) for m in order[1:]]


def plain_log_ticks(ax):
    """Ticks of a logarithmic axis as plain numbers, also of the steps between powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = ax.get_ylim()
    decades = np.log10(high / low)
    subs = (1, 2, 5) if decades < 2.5 else (1,)
    ax.yaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
