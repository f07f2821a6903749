"""Axes of a display. matplotlib is optional and imported on use."""

import numpy as np

__all__ = [
    "add_legend",
    "epoch_axis",
    "make_axes",
    "make_panels",
    "require_matplotlib",
    "title_panels",
]

# Entries of a legend that have room inside the axes.
_INSIDE = 7


def require_matplotlib(caller):
    """Raise an ImportError with advice if matplotlib is not installed."""
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib. You can install it with "
            '`pip install "inforeg-sk[plot]"`.'
        ) from error


def make_axes(ax, title):
    """Return `ax`, or new axes if it is None, and their figure; set the title, if any."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(layout="constrained")
    if title is not None:
        ax.set_title(title)
    return ax, ax.figure


def make_panels(ax, n_rows, n_columns, n_panels, size, owner, *, sharex=False):
    """Return several axes and their figure.

    Parameters
    ----------
    ax : matplotlib Axes, array-like of n_panels Axes, or None
        One is divided, as scikit-learn's ``PartialDependenceDisplay`` does it; None makes a figure.
    n_rows, n_columns, n_panels : int
    size : tuple of float
        Width and height of a panel in a new figure, in inches.
    owner : str
        Who asks, for errors.
    sharex : bool, default=False

    Returns
    -------
    axes : list of Axes
    figure : Figure
    """
    from matplotlib.axes import Axes

    if ax is not None and not isinstance(ax, Axes):
        axes = list(np.ravel(ax))
        if len(axes) != n_panels:
            raise ValueError(
                f"The 'ax' parameter of {owner} must be None, Axes, or an array of {n_panels} "
                f"Axes. Got {len(axes)}."
            )
        return axes, axes[0].figure
    if ax is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(
            figsize=(max(n_columns * size[0], 4.8), n_rows * size[1]), layout="constrained"
        )
        grid = figure.add_gridspec(n_rows, n_columns)
    else:
        if ax.get_subplotspec() is None:
            raise ValueError(
                f"The 'ax' parameter of {owner} must be Axes of a grid, which can be divided: make "
                f"it by plt.subplots, or give an array of {n_panels} Axes."
            )
        figure = ax.figure
        ax.set_axis_off()
        grid = ax.get_subplotspec().subgridspec(n_rows, n_columns)
    axes = []
    for i in range(n_panels):
        shared = axes[0] if sharex and axes else None
        axes.append(figure.add_subplot(grid[divmod(i, n_columns)], sharex=shared))
    return axes, figure


def title_panels(axes, title, alone):
    """Set a title over several panels.

    Parameters
    ----------
    axes : list of Axes
    title : str or None
    alone : bool
        Whether the figure has nothing else; if not, its own title is left alone.
    """
    if title is None:
        return
    if alone and len(axes) > 1:
        axes[0].figure.suptitle(title)
    else:
        own = axes[0].get_title()
        axes[0].set_title(f"{title}\n{own}" if own else title, fontsize="medium")


def epoch_axis(ax, n_samples=None):
    """Ticks and label of an axis of epochs; the label has the size of the training part."""
    from matplotlib.ticker import MaxNLocator

    of = "" if n_samples is None else f" ({n_samples:,} training samples)"
    ax.set_xlabel(f"epoch{of}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def add_legend(ax, handles=None):
    """A legend where it covers least; below the axes if it is long."""
    if handles is None:
        handles = ax.get_legend_handles_labels()[0]
    if len(handles) <= _INSIDE:
        return ax.legend(handles=handles, handlelength=3, fontsize="small")
    from matplotlib.transforms import ScaledTranslation

    # Half an inch under the axes: below their label, however low they are.
    below = ax.transAxes + ScaledTranslation(0, -0.5, ax.figure.dpi_scale_trans)
    longest = max(len(handle.get_label()) for handle in handles)
    return ax.legend(
        handles=handles,
        handlelength=3,
        fontsize="small",
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=below,
        ncols=max(1, 75 // (longest + 10)),
    )
