"""Axes of a display. matplotlib is optional and imported on use."""


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
