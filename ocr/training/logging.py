"""Pictures for mxboard."""

import numpy as np

__all__ = ["caption_line"]


def caption_line(ink, truth, reading):
    """Draw a line with its truth and reading below.

    Parameters
    ----------
    ink : numpy.ndarray
        uint8, (height, width), ink bright.
    truth, reading : str

    Returns
    -------
    numpy.ndarray
        float32 in 0..1, (1, 3, height + 36, width), as mxboard takes it.
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    # Matplotlib ships a font with accents; Pillow's own has none.
    path = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    font = ImageFont.truetype(path, 13)
    height, width = ink.shape
    width = max(width, int(max(font.getlength(truth), font.getlength(reading))) + 8)
    canvas = Image.new("RGB", (width, height + 36), "white")
    canvas.paste(Image.fromarray(255 - ink), (0, 0))
    draw = ImageDraw.Draw(canvas)
    draw.text((2, height), truth, fill="black", font=font)
    draw.text((2, height + 18), reading, fill="darkgreen" if truth == reading else "firebrick",
              font=font)
    return np.asarray(canvas, np.float32).transpose(2, 0, 1)[None] / 255
