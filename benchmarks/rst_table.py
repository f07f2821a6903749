"""Tables of the pages: all programs here write them by `rst_table`."""


def rst_table(head, rows):
    """Lines of a simple table of reStructuredText, and an empty one after it.

    Parameters
    ----------
    head : list of str
        None is empty: docutils would take the head for a part of the rule, and drop it.
    rows : list of list of str
        The first cell of each is not empty, for such a row would continue the one above.

    Raises
    ------
    ValueError
        If a cell of the head, or the first of a row, is empty; if a cell has a line break, or a row
        another number of cells than the head.
    """
    rows = [[_cell(str(cell)) for cell in row] for row in [head, *rows]]
    if not (all(rows[0]) and all(row[0] for row in rows)):
        raise ValueError("an empty cell in the head, or in front of a row")
    if any("\n" in cell for row in rows for cell in row):
        raise ValueError("a line break in a cell")
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return [rule, lines[0], rule, *lines[1:], rule, ""]


def _cell(text):
    # A lone hyphen would begin a list.
    return "\N{EN DASH}" if text == "-" else text
