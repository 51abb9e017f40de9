"""Pictures of lines with truth and readings, differences marked."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from lm.base.errors import DataError
from lm.base.files import atomic_path, write_text

from ..image.fonts import label_font
from .report import EvaluationReport

__all__ = ["mark_differences", "save_gallery", "save_gallery_png"]

_STYLE = """
:root{color-scheme:light dark;--ok:#1a7f37;--bad:#b3261e;--soft:#8884}
body{font:16px/1.45 system-ui,sans-serif;max-width:72rem;margin:1.5rem auto;padding:0 1rem}
pre{overflow-x:auto;padding:.8rem;background:var(--soft);border-radius:.4rem}
article{border-top:1px solid var(--soft);padding:.9rem 0}
img{max-width:100%;background:#fff;border-radius:.2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .9rem;margin:.4rem 0 0}
dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}
del,ins,mark{background:none;color:var(--bad);font-weight:600}
del{text-decoration:line-through}ins{text-decoration:underline}
mark{text-decoration:underline wavy}
h2{font-size:.85rem;font-weight:400;opacity:.7;margin:0 0 .3rem}
@media(prefers-color-scheme:dark){:root{--ok:#4ac26b;--bad:#ff8a80}}
"""


def mark_differences(truth: str, reading: str) -> list[tuple[str, str]]:
    """Cut a reading into pieces against its truth.

    Returns
    -------
    list of (str, str)
        (kind, text): "equal", "replace" and "insert" pieces of the reading, and "delete"
        pieces of the truth that the reading lacks.
    """
    pieces = []
    for edit in Levenshtein.opcodes(truth, reading):
        pieces.append((edit.tag, truth[edit.src_start:edit.src_end] if edit.tag == "delete"
                       else reading[edit.dest_start:edit.dest_end]))
    return pieces


_TAGS = {"replace": "mark", "insert": "ins", "delete": "del"}


def _html_reading(truth, reading):
    parts = []
    for kind, text in mark_differences(truth, reading):
        escaped = html.escape(text)
        tag = _TAGS.get(kind)
        parts.append(f"<{tag}>{escaped}</{tag}>" if tag else escaped)
    return "".join(parts) or "<i>(empty)</i>"


def _data_uri(image):
    from PIL import Image

    picture = Image.fromarray(image)
    if picture.height > 96:
        picture = picture.resize((max(1, round(picture.width * 96 / picture.height)), 96))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _chosen(report, images, max_lines):
    if len(images) != len(report.references):
        raise DataError(f"{len(images)} images for {len(report.references)} lines")
    return report.worst(report.systems[0].name, max_lines)


def save_gallery(path: str, report: EvaluationReport, images: Sequence[np.ndarray],
                 max_lines: int = 60) -> None:
    """Write a self-contained HTML page: the table, then lines, the first system's worst first.

    Parameters
    ----------
    path : str
    report : EvaluationReport
    images : sequence of numpy.ndarray
        uint8 grey, one a line of the report.
    max_lines : int
    """
    articles = []
    for index in _chosen(report, images, max_lines):
        truth = report.references[index]
        rows = [f"<dt>truth</dt><dd>{html.escape(truth)}</dd>"]
        for system in report.systems:
            reading = system.hypotheses[index]
            rate = Levenshtein.distance(truth, reading) / max(len(truth), 1)
            rows.append(f"<dt>{html.escape(system.name)} ({100 * rate:.0f}%)</dt>"
                        f"<dd>{_html_reading(truth, reading)}</dd>")
        identifier = html.escape(report.ids[index])
        articles.append(f"<article><h2>{identifier}</h2><img alt=\"{html.escape(truth)}\" "
                        f"src=\"{_data_uri(images[index])}\"><dl>{''.join(rows)}</dl></article>")
    title = html.escape(f"{report.data}, {report.split}")
    write_text(path, "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">"
                     "<meta name=\"viewport\" content=\"width=device-width\">"
                     f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>"
                     f"<p>{html.escape(report.heading())}</p>"
                     f"<pre>{html.escape(report.table(heading=False))}</pre>"
                     f"<p>{len(articles)} of {len(report.references)} lines, the worst of "
                     f"{html.escape(report.systems[0].name)} first. <mark>Wrong</mark>, "
                     "<ins>too much</ins>, <del>missing</del>; in brackets the line's CER.</p>"
                     f"{''.join(articles)}</html>\n")


def save_gallery_png(path: str, report: EvaluationReport, images: Sequence[np.ndarray],
                     max_lines: int = 8) -> None:
    """Write a PNG with a spread of lines from the worst to the best, truth and readings below.

    Parameters
    ----------
    path, report, images
        As for `save_gallery`.
    max_lines : int
    """
    from PIL import Image, ImageDraw

    order = _chosen(report, images, len(report.references))
    if not order:
        raise DataError("no lines to show")
    picks = np.unique(np.linspace(0, len(order) - 1, min(max_lines, len(order))).round())
    width, line_height, step, font = 1100, 56, 22, label_font(15)
    block = line_height + step * (1 + len(report.systems)) + 14
    canvas = Image.new("RGB", (width, block * len(picks)), "white")
    draw = ImageDraw.Draw(canvas)
    for row, position in enumerate(picks):
        index, top = order[int(position)], row * block
        picture = Image.fromarray(images[index])
        scale = min(line_height / picture.height, (width - 20) / picture.width)
        size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
        canvas.paste(picture.resize(size), (10, top + 4))
        truth = report.references[index]
        y = top + line_height + 4
        draw.text((10, y), "truth", fill="gray", font=font)
        draw.text((110, y), truth, fill="black", font=font)
        for system in report.systems:
            y += step
            draw.text((10, y), system.name, fill="gray", font=font)
            x = 110.0
            for kind, text in mark_differences(truth, system.hypotheses[index]):
                text = f"[{text}]" if kind == "delete" else text
                draw.text((x, y), text, font=font,
                          fill="black" if kind == "equal" else "firebrick")
                x += font.getlength(text)
        draw.line([(10, top + block - 4), (width - 10, top + block - 4)], fill="lightgray")
    with atomic_path(path) as temporary:
        canvas.save(temporary, "PNG")
