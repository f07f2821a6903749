"""The axes of a display: on matplotlib, which is optional and imported late."""


def require_matplotlib(caller):
    """Raise an ImportError with advice if matplotlib is not installed."""
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib. You can install it with "
            '`pip install "inforeg-sk[plot]"`.'
        ) from error


def set_axes(display, ax, name):
    """Give the display its axes, on a new figure if `ax` is None, and them a title if any."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    name = display.name if name is None else name
    if name is not None:
        ax.set_title(name)
    return ax
