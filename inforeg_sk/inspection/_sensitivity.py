"""How a cross-validated score depends on parameters, in the style of scikit-learn's displays."""

from collections.abc import Mapping

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..utils.parameters import Options, check_parameter
from ._axes import add_legend, make_axes, require_matplotlib
from ._candidates import (
    all_values,
    as_text,
    distinct,
    in_order,
    index_of,
    is_geometric,
    is_number,
    is_same,
    known_metric,
    known_params,
    short_name,
)
from ._style import line_of, marker_of, name_of_scoring, score_label, scored_in_percent

__all__ = ["SensitivityDisplay"]


class SensitivityDisplay:
    """Mean test score of a search over one parameter, or two.

    One parameter is a line with a band of a standard deviation over the folds on both sides; two
    are a heat map with the numbers in it, or a line for each value of the second. The best
    candidate is marked; as the best of several its score says too much, unless cross-validation is
    nested.

    It is recommended to use `from_estimator` or `from_cv_results`. All parameters are stored as
    attributes.

    Parameters
    ----------
    params : dict of str to sequence of length n_candidates
        Values of one parameter or two.
    mean_score : array-like of shape (n_candidates,)
    std_score : array-like of shape (n_candidates,), default=None
        Standard deviations over the folds.
    score_name : str, default="score"
        What the scores are, such as "accuracy". Shares are drawn in percent.
    n_splits : int, default=None
        Folds behind each score.
    n_samples : int, default=None
        Samples that the search was given.
    fixed : dict of str to object, default=None
        Values of further parameters of the search, of these candidates.
    name : str, default=None
        Title of the axes; None says what is in `fixed`.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of object to matplotlib Line2D
        By value of the second parameter; with one, the key is None. Empty in a heat map.
    bands_ : dict of object to matplotlib PolyCollection
        As `lines_`; empty without `std_score`.
    image_ : matplotlib AxesImage or None
        The heat map: the first parameter is on the x axis.
    texts_ : dict of tuple of two int to matplotlib Text
        Numbers in the cells, by row and column.
    colorbar_ : matplotlib Colorbar or None
    best_ : matplotlib Artist
        Mark of the best candidate.

    Examples
    --------
    >>> from inforeg_sk import MultimodalInfoRegClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import SensitivityDisplay
    >>> from inforeg_sk.model_selection import BatchedGridSearchCV
    >>> X, y = make_multimodal_classification(90, random_state=0)
    >>> clf = MultimodalInfoRegClassifier(max_epochs=3, random_state=0)
    >>> grid = {"alpha": [0.1, 1, 10], "window_threshold": [0.01, 0.04]}
    >>> search = BatchedGridSearchCV(clf, grid, cv=3).fit(X, y)
    >>> heat_map = SensitivityDisplay.from_estimator(search)
    >>> heat_map.image_.get_array().shape
    (2, 3)
    >>> line = SensitivityDisplay.from_estimator(search, params=["alpha"])
    >>> line.ax_.get_xscale()
    'log'
    """

    def __init__(
        self,
        params,
        mean_score,
        std_score=None,
        *,
        score_name="score",
        n_splits=None,
        n_samples=None,
        fixed=None,
        name=None,
    ):
        self.params = params
        self.mean_score = mean_score
        self.std_score = std_score
        self.score_name = score_name
        self.n_splits = n_splits
        self.n_samples = n_samples
        self.fixed = fixed
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, score_name=None, **settings):
        """Plot the results of a fitted search.

        Parameters
        ----------
        estimator : search
            Fitted, with ``cv_results_``, such as `BatchedGridSearchCV`, or
            `MultimodalInfoRegClassifierCV`.
        score_name : str, default=None
            None: the name of the scorer, if the search got one; without a scorer "accuracy", or
            "r2" of a regressor.
        **settings
            See `from_cv_results`.

        Returns
        -------
        SensitivityDisplay
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        search = estimator
        if not hasattr(search, "cv_results_"):
            if hasattr(search, "fit") and not isinstance(search, type):
                check_is_fitted(search)
            search = getattr(search, "search_", None)
        if not hasattr(search, "cv_results_"):
            raise TypeError(
                "A fitted search with cv_results_, such as BatchedGridSearchCV, is expected; got "
                f"{type(estimator).__name__}."
            )
        single = search.scoring is None or isinstance(search.scoring, str)
        if score_name is None and single:
            score_name = name_of_scoring(search.scoring, search.estimator)
        return cls.from_cv_results(search.cv_results_, score_name=score_name, **settings)

    @classmethod
    def from_cv_results(
        cls,
        cv_results,
        *,
        params=None,
        metric=None,
        score_name=None,
        n_samples=None,
        ax=None,
        name=None,
        kind="auto",
        legend=True,
        **style,
    ):
        """Plot the ``cv_results_`` of a search.

        Parameters
        ----------
        cv_results : dict of str to array, or DataFrame
            The ``cv_results_``.
        params : str or list of str, default=None
            One or two parameters of the search, such as "method__alpha". None: those of which there
            are several values, of which there must be one or two. All others are held at their
            values in the best candidate.
        metric : str, default=None
            Which one, of a search with several.
        score_name : str, default=None
            What the scores are; None: `metric`, or "score".
        n_samples : int, default=None
            Samples that the search was given, to be shown.
        ax : matplotlib Axes, default=None
            Axes to plot on; None makes a new figure.
        name : str, default=None
            Title; None says at which values other parameters are held.
        kind, legend, **style :
            See `plot`.

        Returns
        -------
        SensitivityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a parameter or metric is not in the results, it is not clear which to draw, or the
            candidates make no grid.
        """
        require_matplotlib(f"{cls.__name__}.from_cv_results")
        metric = known_metric(cv_results, metric)
        candidates = list(cv_results["params"])
        chosen = known_params(candidates, params)
        mean = np.asarray(cv_results[f"mean_test_{metric}"], dtype=float)
        std = np.asarray(cv_results[f"std_test_{metric}"], dtype=float)
        if not np.isfinite(mean).any():
            raise ValueError("No candidate has a mean test score: all fits failed.")
        best = candidates[int(np.nanargmax(mean))]
        fixed = {key: value for key, value in best.items() if key not in chosen}
        rows = [
            i
            for i, candidate in enumerate(candidates)
            if all(is_same(candidate.get(key), value) for key, value in fixed.items())
        ]
        shown = {key: [candidates[i].get(key) for i in rows] for key in chosen}
        for key, values in shown.items():
            if len(distinct(values)) < 2:
                raise ValueError(
                    "With all other parameters as in the best candidate, there is one value of "
                    f"{key!r} only: the candidates make no grid. Name other params, or search "
                    "over fewer."
                )
        display = cls(
            shown,
            mean[rows],
            std[rows],
            score_name=score_name or metric,
            n_splits=sum(
                str(key).startswith("split") and str(key).endswith(f"_test_{metric}")
                for key in cv_results
            ),
            n_samples=n_samples,
            fixed={k: v for k, v in fixed.items() if len(distinct(all_values(candidates, k))) > 1},
            name=name,
        )
        return display.plot(ax, kind=kind, legend=legend, **style)

    def plot(self, ax=None, *, name=None, kind="auto", legend=True, **style):
        """Plot the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None makes a new figure.
        name : str, default=None
            Title; None uses the one given to the constructor.
        kind : {"auto", "lines", "heatmap"}, default="auto"
            How two parameters are drawn; "auto" is a heat map.
        legend : bool, default=True
            Whether to draw a legend of the lines, or the colour bar.
        **style
            Passed to matplotlib's ``plot`` for every line, or to ``imshow``.

        Returns
        -------
        self : SensitivityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the arrays do not match, or a heat map is asked for that the candidates do not fill.
        """
        owner = f"{type(self).__name__}.plot"
        require_matplotlib(owner)
        check_parameter("kind", kind, [Options("auto", "lines", "heatmap")], owner)
        mean, std = self._checked()
        if kind == "heatmap" and len(self.params) == 1:
            raise ValueError("A heat map needs two params. Got one.")
        as_map = kind == "heatmap" or (kind == "auto" and len(self.params) == 2)
        cells = self._cells(mean, std) if as_map else None
        title = self.name if name is None else name
        if title is None and self.fixed:
            title = ", ".join(f"{short_name(k)} = {as_text(v)}" for k, v in self.fixed.items())
        ax, self.figure_ = make_axes(ax, title)
        self.ax_, self.lines_, self.bands_, self.texts_ = ax, {}, {}, {}
        self.image_ = self.colorbar_ = None
        self._scale = 100 if scored_in_percent(self.score_name, [mean]) else 1
        if as_map:
            self._plot_map(cells, legend, style)
        else:
            self._plot_lines(mean, std, legend, style)
        return self

    def _checked(self):
        if not isinstance(self.params, Mapping) or len(self.params) not in (1, 2):
            raise ValueError(
                f"params must be a dict from one parameter or two to values. Got {self.params!r}."
            )
        mean = np.asarray(self.mean_score, dtype=float)
        std = None if self.std_score is None else np.asarray(self.std_score, dtype=float)
        sizes = {len(v) for v in self.params.values()} | {mean.size}
        sizes |= set() if std is None else {std.size}
        if len(sizes) > 1 or mean.ndim != 1 or not mean.size:
            raise ValueError(
                "params, mean_score and std_score must have one value per candidate. Got "
                f"{', '.join(map(str, sorted(sizes)))}."
            )
        return mean, std

    def _label(self):
        label = score_label(self.score_name) + (" (%)" if self._scale == 100 else "")
        told = []
        if self.n_splits:
            with_sd = self.std_score is not None and (self.image_ is None or self.texts_)
            what = "mean ± sd" if with_sd else "mean"
            told.append(f"{what} over {self.n_splits} folds")
        if self.n_samples is not None:
            told.append(f"n = {self.n_samples:,}")
        return label + (f"\n{', '.join(told)}" if told else "")

    # Lines

    def _plot_lines(self, mean, std, legend, style):
        (first, values), *second = self.params.items()
        groups = {None: np.arange(len(mean))}
        if second:
            groups = {
                value: np.array([i for i, v in enumerate(second[0][1]) if is_same(v, value)])
                for value in in_order(second[0][1])
            }
        order = in_order(values)
        numeric = all(map(is_number, order))
        for i, (value, rows) in enumerate(groups.items()):
            place = [index_of(order, values[j]) for j in rows]
            rows = rows[np.argsort(place, kind="stable")]
            x = np.array([values[j] if numeric else index_of(order, values[j]) for j in rows])
            middle = self._scale * mean[rows]
            look = {**line_of(i), "marker": marker_of(i), "markersize": 5}
            if second:
                look["label"] = f"{short_name(second[0][0])} = {as_text(value)}"
            (line,) = self.ax_.plot(x, middle, **{**look, **style})
            self.lines_[value] = line
            if std is not None:
                half = self._scale * std[rows]
                self.bands_[value] = self.ax_.fill_between(
                    x, middle - half, middle + half, color=line.get_color(), alpha=0.2, linewidth=0
                )
        best = int(np.nanargmax(mean))
        x = values[best] if numeric else index_of(order, values[best])
        (self.best_,) = self.ax_.plot(
            x,
            self._scale * mean[best],
            linestyle="none",
            marker="o",
            markersize=14,
            markerfacecolor="none",
            markeredgecolor="black",
            label="best",
        )
        self._set_scale(order, numeric)
        self.ax_.set(xlabel=short_name(first), ylabel=self._label())
        if legend:
            add_legend(self.ax_)

    def _set_scale(self, order, numeric):
        """A logarithmic axis for a geometric grid, and ticks at its values."""
        if not numeric:
            self.ax_.set_xticks(range(len(order)), [as_text(v) for v in order])
            return
        positive = [v for v in order if v > 0]
        if is_geometric(positive) and min(order) > 0:
            self.ax_.set_xscale("log")
        elif is_geometric(positive) and min(order) == 0:
            self.ax_.set_xscale("symlog", linthresh=positive[0])
        if len(order) <= _TICKS:
            self.ax_.set_xticks(order, [as_text(v) for v in order])
            self.ax_.minorticks_off()

    # Heat map

    def _cells(self, mean, std):
        """Values on both axes, and means and standard deviations by row and column."""
        (_, first), (_, second) = self.params.items()
        x, y = in_order(first), in_order(second)
        found = np.full((2, len(y), len(x)), np.nan)
        for i, (a, b) in enumerate(zip(first, second, strict=True)):
            found[:, index_of(y, b), index_of(x, a)] = mean[i], np.nan if std is None else std[i]
        if np.isnan(found[0]).mean() > 0.5:
            raise ValueError(
                f"The {len(mean)} candidates make no grid of {len(x)} by {len(y)}: name one "
                "parameter in params, or give kind='lines'."
            )
        return x, y, *found

    def _plot_map(self, cells, legend, style):
        from matplotlib.patches import Rectangle

        x, y, mean, std = cells
        self.ax_.patch.set(facecolor="0.9", hatch="xxx", edgecolor="0.6")
        look = {"cmap": "gray", "origin": "lower", "aspect": "auto"}
        self.image_ = self.ax_.imshow(self._scale * mean, **{**look, **style})
        first, second = self.params
        self.ax_.set_xticks(range(len(x)), [as_text(v) for v in x])
        self.ax_.set_yticks(range(len(y)), [as_text(v) for v in y])
        self.ax_.set(xlabel=short_name(first), ylabel=short_name(second))
        row, column = np.unravel_index(np.nanargmax(mean), mean.shape)
        self.best_ = self.ax_.add_patch(
            Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, linewidth=2.5)
        )
        self.best_.set(edgecolor="black", linestyle="--", label="best")
        if mean.size <= _NUMBERS and max(mean.shape) <= _COLUMNS:
            self._write_numbers(mean, std)
        if legend:
            self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label=self._label())

    def _write_numbers(self, mean, std):
        digits = 1 if self._scale == 100 else 3
        small = mean.shape[1] > 6
        for row, column in np.argwhere(np.isfinite(mean)):
            value = self._scale * mean[row, column]
            text = f"{value:.{digits}f}"
            if np.isfinite(std[row, column]):
                text += f"\n± {self._scale * std[row, column]:.{digits}f}"
            *rgb, _ = self.image_.cmap(self.image_.norm(value))
            dark = np.dot(rgb, [0.299, 0.587, 0.114]) < 0.5
            self.texts_[int(row), int(column)] = self.ax_.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                color="white" if dark else "black",
                fontsize="x-small" if small else "small",
            )
        row, column = np.unravel_index(np.nanargmax(mean), mean.shape)
        self.best_.set_edgecolor(self.texts_[int(row), int(column)].get_color())


# Ticks at each value up to so many; numbers in so many cells of so many columns.
_TICKS = 12
_NUMBERS, _COLUMNS = 64, 10
