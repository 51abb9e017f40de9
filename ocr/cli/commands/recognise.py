"""Read images of lines or pages; prints file, confidence and text of each line, tab-separated.

Lines are found where scikit-image is installed, else each image is one line. --json, --alto and
--page write where each line, word and character stands, too.
"""

import os
import warnings

from lm.base.errors import ConfigError, DataError, OCRError

from ..common import add_checkpoint, positive, require_file, say
from ..decoder_options import (
    add_decoder_choice,
    add_decoder_options,
    chosen_name,
    default_name,
    pipeline_config,
)

#: Format -> ending of its files.
_ENDINGS = {"text": ".txt", "json": ".json", "alto": ".xml", "page": ".xml"}


def add_arguments(parser):
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    add_checkpoint(parser, required=False)
    add_decoder_choice(parser)
    parser.add_argument("--n-best", type=positive, default=1, metavar="N")
    parser.add_argument("--lines", choices=("auto", "one", "find"), default="auto",
                        help="one: an image is a line; find: look for its lines (needs "
                             "scikit-image); auto: find where possible (default)")
    parser.add_argument("--segmentation", metavar="FILE",
                        help="where the lines are: PAGE or ALTO XML, or JSON boxes or polygons; "
                             "for several images a folder with NAME.xml or NAME.json of each")
    parser.add_argument("--low-confidence", type=float, default=0.75, metavar="SHARE",
                        help="flag lines of whose characters the network is less sure "
                             "(default: 0.75)")
    parser.add_argument("--max-pixels", type=positive, default=100_000_000, metavar="N",
                        help="refuse larger images (default: 100 million)")
    kind = parser.add_mutually_exclusive_group()
    for name, help in (("json", "one JSON object an image: lines, words, characters, their "
                                "positions in pixels and confidences"),
                       ("alto", "ALTO 4 XML"), ("page", "PAGE 2019 XML")):
        kind.add_argument(f"--{name}", action="store_true", help=help)
    parser.add_argument("--output", metavar="FOLDER",
                        help="write a file for each image instead of printing")
    add_decoder_options(parser)


def run(arguments):
    if arguments.checkpoint is None:
        from ...checkpoints.shipped import default_model

        arguments.checkpoint = default_model()
    require_file(arguments.checkpoint)
    # Without a name: what was best when it was tuned, or greedy.
    name = arguments.decoder or default_name(arguments)
    config = pipeline_config(arguments, chosen_name(arguments, name))
    kind = next((k for k in ("json", "alto", "page") if getattr(arguments, k)), "text")
    targets = _targets(arguments, kind)
    problems = []
    pages = _Pages(arguments, problems)
    first = next(pages, None)
    if first is not None:
        _read(first, pages, arguments, config, kind, targets)
    if problems:
        # All that could be read was; what could not still makes the command fail.
        raise DataError("; ".join(map(str, problems)))


class _Pages:
    """Yields (image, lines) of what can be opened; ``paths`` are those yielded so far."""

    def __init__(self, arguments, problems):
        self.paths, self._arguments, self._problems = [], arguments, problems
        self._waiting = iter(arguments.images)

    def __iter__(self):
        return self

    def __next__(self):
        from ...image.load import load_grey

        for path in self._waiting:
            try:
                image = load_grey(path, max_pixels=self._arguments.max_pixels)
                page = image, self._lines(path, image)
            except OCRError as error:
                self._problems.append(error)
            else:
                self.paths.append(path)
                return page
        raise StopIteration

    def _lines(self, path, image):
        segmentation = self._arguments.segmentation
        if segmentation is None:
            return None
        from ...layout import read_segmentation

        if os.path.isdir(segmentation):
            stem = os.path.join(segmentation, _stem(path))
            found = [stem + ending for ending in (".xml", ".json")
                     if os.path.isfile(stem + ending)]
            if not found:
                raise DataError(f"{path}: {segmentation} has neither {_stem(path)}.xml nor .json")
            segmentation = found[0]
        return read_segmentation(segmentation, image.shape[::-1])


def _read(first, pages, arguments, config, kind, targets):
    import itertools

    from ...correction import build_pipeline
    from ...layout import can_find_lines
    from ...recognition import open_recogniser
    from ...recognition.pages import PageReader

    recogniser = open_recogniser(arguments.checkpoint, arguments.device)
    reader = PageReader(recogniser, build_pipeline(config, recogniser.alphabet),
                        lines=arguments.lines, low_confidence=arguments.low_confidence,
                        n_best=arguments.n_best, batch_size=arguments.batch_size)
    if arguments.lines == "auto" and not can_find_lines() and arguments.segmentation is None:
        warnings.warn("scikit-image is not installed: each image is read as one line "
                      "(pip install 'ocr[layout]')", stacklevel=1)
    for number, reading in enumerate(reader.read_all(itertools.chain([first], pages))):
        path = pages.paths[number]
        if not reading.lines:
            say(f"{path}: no lines of text found")
        doubtful = sum(line.low_confidence for line in reading.lines)
        if doubtful:
            say(f"{path}: {doubtful} of {len(reading.lines)} line(s) of low confidence")
        _write(reading, path, kind, targets)


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def _targets(arguments, kind):
    """Return {image: file to write}, empty when results are printed."""
    if arguments.segmentation and not os.path.isdir(arguments.segmentation) \
            and len(arguments.images) > 1:
        raise ConfigError("--segmentation: for several images give a folder with a file for each")
    if arguments.output is None:
        if kind in ("alto", "page") and len(arguments.images) > 1:
            raise ConfigError(f"--{kind}: for several images give --output FOLDER")
        return {}
    targets = {path: os.path.join(arguments.output, _stem(path) + _ENDINGS[kind])
               for path in arguments.images}
    owners = {}
    for path, target in targets.items():
        if owners.setdefault(target, path) != path:
            raise ConfigError(f"--output: {owners[target]} and {path} would both be written to "
                              f"{target}")
    return targets


def _write(reading, path, kind, targets):
    from lm.base.files import write_text

    from ...formats import alto_xml, json_line, page_xml, text_rows

    target = targets.get(path)
    if kind == "text":
        rows = text_rows(reading, path)
    elif kind == "json":
        rows = [json_line(reading, path)]
    else:
        # As it is to be found from where the XML lies.
        name = path if target is None else os.path.relpath(path, os.path.dirname(target))
        xml = (alto_xml if kind == "alto" else page_xml)(reading, name.replace(os.sep, "/"))
        rows = [xml.rstrip("\n")]
    if target is None:
        for row in rows:
            print(row)
    else:
        write_text(target, "".join(row + "\n" for row in rows))
