"""The font of labels in pictures."""

from functools import lru_cache

__all__ = ["label_font"]


@lru_cache(maxsize=None)
def label_font(size: int):
    """Return a font (PIL.ImageFont.FreeTypeFont) with accents, for labels `size` pixels high."""
    import matplotlib
    from PIL import ImageFont

    # Matplotlib ships DejaVu Sans; Pillow's own font has no accents.
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)
