"""Plain text: a row for each reading of a line."""

__all__ = ["text_rows"]


def text_rows(reading, name):
    """Return rows ``name<TAB>confidence<TAB>text``, for each line and its alternatives.

    Parameters
    ----------
    reading : PageReading
    name : str
        Of the image.

    Returns
    -------
    list of str
    """
    return [f"{name}\t{one.confidence:.3f}\t{one.text}"
            for line in reading.lines for one in (line, *line.alternatives)]
