"""Fisher traces over the epochs, in the style of scikit-learn's displays."""

from collections.abc import Mapping

import numpy as np

from ..training.history import DroppedBatches
from ._axes import add_legend, epoch_axis, make_axes, require_matplotlib
from ._style import hatch_of, line_of, marker_of
from ._unwrap import method_title, unwrap

# Names of more tracks would overlap.
_NAMED_TRACKS = 12


class FisherTraceDisplay:
    """Fisher trace of each modality over the epochs, and when its window was open.

    Each modality is a line. Above the lines each modality with a prime learning window has a
    track with its name, of its colour and hatch, filled in the epochs in which the window was open;
    or, where the parameter `active` limits a method, those in which it was allowed to act. Epochs
    are counted from 0, as in `curves_`.

    It is recommended to use `from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    fisher_trace : dict of str to array-like of shape (n_epochs,)
        Fisher trace of each modality, such as a classifier's ``curves_["fisher_trace"]``.
    window : dict of str to array-like of bool of shape (n_epochs,), default=None
        Whether the modality's window was open, such as ``curves_["window"]``. Modalities left
        out, or all if None, have no track.
    name : str, default=None
        Title of the axes.
    window_name : str, default="window open"
        What a filled track means, in the legend.
    n_samples : int, default=None
        Of the training part.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the traces.
    figure_ : matplotlib Figure
        Figure with the axes.
    lines_ : dict of str to matplotlib Line2D
        Line of each modality; the first epoch is at 0.
    spans_ : dict of str to list of matplotlib Patch
        For each modality with a track, one patch for each run of epochs with an open window. A
        run from epoch 3 to 5 reaches from 2.5 to 5.5.
    texts_ : dict of str to matplotlib Text
        Name beside each track; empty with more than 12 tracks, which are too low for names.

    See Also
    --------
    ModalityAccuracyDisplay : How well each modality predicts after training.

    Examples
    --------
    >>> from inforeg_sk import MultimodalInfoRegClassifier
    >>> from inforeg_sk.datasets import make_multimodal_classification
    >>> from inforeg_sk.inspection import FisherTraceDisplay
    >>> X, y = make_multimodal_classification(random_state=0)
    >>> clf = MultimodalInfoRegClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> display = FisherTraceDisplay.from_estimator(clf)
    >>> sorted(display.lines_)
    ['strong', 'weak']
    """

    def __init__(
        self,
        fisher_trace,
        window=None,
        *,
        name=None,
        window_name="window open",
        n_samples=None,
    ):
        self.fisher_trace = fisher_trace
        self.window = window
        self.name = name
        self.window_name = window_name
        self.n_samples = n_samples

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, log=True, legend=True, **style):
        """Plot the Fisher traces and windows that a fit recorded.

        Parameters
        ----------
        estimator : MultimodalClassifier or MultimodalRegressor, Pipeline or search
            A fitted estimator of this library, a fitted Pipeline that ends in one, or a fitted
            search, such as GridSearchCV, whose `best_estimator_` is either.
        ax : matplotlib Axes, default=None
            Axes to plot on; None makes a new figure.
        name : str, default=None
            Title of the axes; None uses the balancing method and its non-default settings.
        log, legend, **style :
            See `plot`.

        Returns
        -------
        FisherTraceDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If `estimator` is of another type.
        ValueError
            If the fit recorded no Fisher traces (``fisher=None``), or the search has no best
            estimator (``refit=False``).
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        _, fitted = unwrap(estimator)
        curves, declared = fitted.curves_, fitted.method_.curves
        traces = recorded_traces(fitted)
        # Not every method has a window; the first flag that the method reports is drawn, or else
        # where the parameter `active` allowed it to act.
        flags = [q for q, c in declared.items() if c.flag] + ["active"]
        flag = next((q for q in flags if isinstance(curves.get(q), dict)), None)
        window = curves.get(flag)
        if window is not None:  # labels that are not modalities have no trace
            window = {m: w for m, w in window.items() if m in traces}
        window_name = "method active" if flag == "active" else "window open"
        name = method_title(fitted) if name is None else name
        display = cls(
            traces,
            window,
            name=name,
            window_name=window_name,
            n_samples=training_size(fitted),
        )
        return display.plot(ax, log=log, legend=legend, **style)

    def plot(self, ax=None, *, name=None, log=True, legend=True, **style):
        """Plot the traces.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None makes a new figure.
        name : str, default=None
            Title of the axes; None uses the one given to the constructor.
        log : bool, default=True
            Whether the axis of the traces is logarithmic. If some traces are zero, it is linear
            from zero to the smallest positive trace.
        legend : bool, default=True
            Whether to draw a legend.
        **style
            Passed to matplotlib's ``plot`` for every line.

        Returns
        -------
        self : FisherTraceDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no trace, or a window has no trace or differs from it in length.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        from matplotlib.patches import Patch

        traces, windows = self._checked()
        ax, self.figure_ = make_axes(ax, self.name if name is None else name)
        self.ax_ = ax
        self.lines_ = {}
        for i, (modality, trace) in enumerate(traces.items()):
            # Marks also show a fit of one epoch, which is no line.
            look = {**line_of(i), "marker": marker_of(i), "markersize": 4}
            look.update(markevery=max(1, len(trace) // 10), label=modality)
            epochs = np.arange(len(trace))
            self.lines_[modality] = ax.plot(epochs, trace, **{**look, **style})[0]
        ax.set_yscale(**_scale(ax, log))
        self._plot_windows(windows)
        ax.set_ylabel("Fisher trace")
        epoch_axis(ax, self.n_samples)
        if legend:
            handles = list(self.lines_.values())
            if windows:
                look = {"facecolor": "0.75", "edgecolor": "0.2", "hatch": hatch_of(0)}
                handles.append(Patch(**look, linewidth=0.5, label=self.window_name))
            add_legend(ax, handles)
        return self

    def _checked(self):
        if not isinstance(self.fisher_trace, Mapping) or not self.fisher_trace:
            raise ValueError(
                "fisher_trace is a dict from modality to an array, one value per epoch; got "
                f"{self.fisher_trace!r}."
            )
        traces = {m: np.asarray(trace, float) for m, trace in self.fisher_trace.items()}
        windows = {m: np.asarray(w, bool) for m, w in (self.window or {}).items()}
        for modality, window in windows.items():
            if modality not in traces:
                raise ValueError(f"window: {modality!r} has no Fisher trace.")
            if window.shape != traces[modality].shape:
                raise ValueError(
                    f"window: {modality!r} has the shape {window.shape}, but its Fisher "
                    f"trace has {traces[modality].shape}."
                )
        return traces, windows

    def _plot_windows(self, windows):
        """Draw a track for each window, top down, in room made above the lines."""
        self.spans_, self.texts_ = {}, {}
        if not windows:
            return
        pitch = min(0.042, 0.4 / len(windows))  # as a fraction of the axes' height
        height, gap = 0.7 * pitch, 0.015
        _make_headroom(self.ax_, len(windows) * pitch + 2 * gap)
        numbers = {modality: i for i, modality in enumerate(self.lines_)}
        for row, (modality, window) in enumerate(windows.items()):
            ymax = 1 - gap - row * pitch
            colour = self.lines_[modality].get_color()
            where = {"ymin": ymax - height, "ymax": ymax}
            # Draw the whole track faintly: where it is not filled, the window was closed.
            closed = {"color": colour, "alpha": 0.15, "linewidth": 0}
            self.ax_.axvspan(-0.5, len(window) - 0.5, **where, **closed)
            opened = {"facecolor": (colour, 0.6), "edgecolor": "0.1", "linewidth": 0.5}
            opened["hatch"] = hatch_of(numbers[modality])
            self.spans_[modality] = [
                self.ax_.axvspan(start - 0.5, stop - 0.5, **where, **opened)
                for start, stop in _runs(window)
            ]
            if len(windows) <= _NAMED_TRACKS:
                self.texts_[modality] = self.ax_.annotate(
                    modality,
                    (1, ymax - height / 2),
                    (3, 0),
                    xycoords="axes fraction",
                    textcoords="offset points",
                    va="center",
                    fontsize=min(7, 150 * pitch),
                    annotation_clip=False,
                )


def recorded_traces(fitted):
    """The Fisher traces that a fit recorded (dict of str to ndarray), or a ValueError."""
    traces = fitted.curves_.get("fisher_trace")
    if traces is None or any(np.isnan(trace).all() for trace in traces.values()):
        raise ValueError(
            f"This {type(fitted).__name__} did not track Fisher traces: fit it with fisher='batch'."
        )
    return traces


def training_size(fitted):
    """How many samples the batches of the last epoch had (int); None if that was not kept."""
    rows = fitted.history_[-1]["batches"] if len(fitted.history_) else []
    if isinstance(rows, DroppedBatches):
        return None
    return sum(row.get("train_batch_size", 0) for row in rows) or None


def _runs(mask):
    """Starts and stops of the runs of True, one row each."""
    return np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0)).reshape(-1, 2)


def _finite_values(ax):
    """Finite values of all lines on the axes, a user's too, except lines that span the axes."""
    lines = [line for line in ax.lines if line.get_transform() == ax.transData]
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in lines])
    return values[np.isfinite(values)]


def _scale(ax, log):
    """Return a scale of the y axis that shows every value, including zeros."""
    values = _finite_values(ax)
    positive = values[values > 0]
    if not log or not positive.size:
        return {"value": "linear"}
    if len(positive) == len(values):
        return {"value": "log"}
    return {"value": "symlog", "linthresh": 10.0 ** np.floor(np.log10(positive.min()))}


def _make_headroom(ax, share):
    """Leave the upper `share` of the axes free of lines, and keep autoscaling on."""
    values, transform = _finite_values(ax), ax.yaxis.get_transform()
    if not values.size:
        return
    low, high = transform.transform([values.min(), values.max()])
    # On a logarithmic axis, 1 is a decade.
    extent = high - low or (1.0 if ax.get_yscale() != "linear" else abs(high) or 1.0)
    top = low + extent / (1 - share)
    # Extend the data limits instead of fixing the view, so that later lines still fit.
    ax.update_datalim([(0, transform.inverted().transform(top))], updatex=False)
    ax.autoscale_view()
