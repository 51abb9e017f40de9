"""Read images of lines or pages.

SOURCE is an image, a PDF, a folder (with those below it), a pattern ("scans/*.png"), @LIST (a
file with a name a row) or - (standard input); scan.pdf[1-3] are pages of a file. Lines are found
where scikit-image is installed, else each image is one line. The text is printed, or written to
--output: a file whose ending tells the format (.txt .tsv .json .hocr .xml .pdf), or a folder with
a file for each image. Exit status 2: some image could not be read; the others were.
"""

import functools
import os
import sys
import warnings

from lm.base.errors import ConfigError, DataError, OCRError

from ..common import add_checkpoint, positive, require_file, say
from ..decoder_options import (
    add_decoder_choice,
    add_decoder_options,
    chosen_name,
    default_name,
    named_stage,
    pipeline_config,
)

#: Images about which something is said one by one; of more, how many they are.
_SAID = 10


def add_arguments(parser):
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    add_checkpoint(parser, required=False)
    parser.add_argument("--output", metavar="PATH",
                        help="write to a file, or to a folder: one that exists, or a name that "
                             "ends in / or has no ending of a format")
    parser.add_argument("--format", metavar="A,B",
                        help="text, tsv, json, alto, page, hocr, pdf (ocr list formats); default: "
                             "what the ending of --output says, else text")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--skip-existing", action="store_true",
                          help="leave out images whose output is there: goes on after a stop")
    existing.add_argument("--overwrite", action="store_true",
                          help="replace output that is there")
    parser.add_argument("--pages", metavar="1-3,7",
                        help="of files with several pages (default: all)")
    parser.add_argument("--lines", choices=("auto", "one", "find"), default="auto",
                        help="one: an image is a line; find: look for its lines (needs "
                             "scikit-image); auto: find where possible (default)")
    parser.add_argument("--segmentation", metavar="FILE",
                        help="where the lines are: PAGE or ALTO XML, or JSON boxes or polygons; "
                             "for several images a folder with NAME.xml or NAME.json of each")
    parser.add_argument("--finder", default="classical", metavar="NAME",
                        help="what finds lines (ocr list finders; default: classical)")
    add_decoder_choice(parser)
    parser.add_argument("--n-best", type=positive, default=1, metavar="N",
                        help="readings a line, where the format has a place for them")
    parser.add_argument("--low-confidence", type=float, metavar="SHARE",
                        help="flag lines below this confidence (default: 0.6)")
    parser.add_argument("--drop-unsure", type=float, metavar="SHARE",
                        help="leave lines below this confidence out")
    parser.add_argument("--no-turn", action="store_true",
                        help="take pages as they lie, though they be on their side or head")
    parser.add_argument("--jobs", type=positive, default=1, metavar="N",
                        help="processes that read (default: 1)")
    parser.add_argument("--max-pixels", type=positive, default=100_000_000, metavar="N",
                        help="refuse larger images (default: 100 million)")
    add_decoder_options(parser)


def run(arguments):
    if arguments.checkpoint is None:
        from ...checkpoints.shipped import default_model

        arguments.checkpoint = default_model()
    require_file(arguments.checkpoint)
    settings = _reader_settings(arguments)
    problems = []
    plan = _plan(arguments, problems)
    if plan:
        _read(arguments, settings, plan, problems)
    if problems:
        # All that could be read was; what could not still makes the command fail.
        if len(problems) > _SAID:
            problems[_SAID:] = [f"and {len(problems) - _SAID:,} more"]
        raise DataError("; ".join(map(str, problems)))


def _reader_settings(arguments):
    from ...layout import LINE_FINDERS, can_find_lines
    from ...recognition.many import ReaderSettings
    from ...recognition.readings import LOW_CONFIDENCE

    # Without a name: what was best when it was tuned, or greedy.
    name = arguments.decoder or default_name(arguments)
    pipeline = pipeline_config(arguments, chosen_name(arguments, name),
                               [arguments.finder, *_format_names(arguments)])
    finder = named_stage(arguments, LINE_FINDERS, arguments.finder)
    low = LOW_CONFIDENCE if arguments.low_confidence is None else arguments.low_confidence
    for option, value in (("low-confidence", low), ("drop-unsure", arguments.drop_unsure or 0)):
        if not 0 <= value <= 1:
            raise ConfigError(f"--{option} is {value}; expected 0 to 1")
    if arguments.lines == "auto" and not can_find_lines(finder) and arguments.segmentation is None:
        warnings.warn("scikit-image is not installed: each image is read as one line "
                      "(pip install 'ocr[layout]')", stacklevel=1)
    return ReaderSettings(arguments.checkpoint, pipeline, arguments.device, {
        "finder": finder, "lines": arguments.lines, "low_confidence": low,
        "n_best": arguments.n_best, "batch_size": arguments.batch_size,
        "turn": not arguments.no_turn})


def _plan(arguments, problems):
    """Return what is to be read and where to; what cannot be opened stands in `problems`."""
    from ...recognition.inputs import find_documents, parse_pages
    from ...recognition.outputs import plan_outputs

    formats, folder = _formats(arguments)
    numbers = parse_pages(arguments.pages) if arguments.pages else None
    documents = []
    for document in find_documents(arguments.sources, numbers):
        try:
            if isinstance(document, OCRError):
                raise document
            documents.append((document, document.sources(arguments.max_pixels)))
        except OCRError as error:
            problems.append(error)
    if arguments.segmentation and not os.path.isdir(arguments.segmentation) \
            and sum(len(sources) for _, sources in documents) > 1:
        raise ConfigError("--segmentation: for several images give a folder with a file for each")
    existing = "skip" if arguments.skip_existing else \
        "overwrite" if arguments.overwrite else "refuse"
    plan = plan_outputs(documents, formats, arguments.output, folder, existing,
                        None if arguments.output else sys.stdout.buffer)
    if arguments.skip_existing:
        done = sum(len(sources) for _, sources in documents) - len(plan)
        if done:
            say(f"{done:,} page(s) are read already")
    return plan


def _format_names(arguments):
    return list(dict.fromkeys(arguments.format.split(","))) if arguments.format else []


def _formats(arguments):
    """Return the formats, and whether ``--output`` is a folder."""
    from ...formats import FORMATS, format_of_file

    output = arguments.output
    formats = [named_stage(arguments, FORMATS, name) for name in _format_names(arguments)]
    if output is None:
        return formats or ["text"], False
    try:
        by_ending = None if output.endswith(("/", os.sep)) or os.path.isdir(output) \
            else format_of_file(output)
    except ConfigError:
        # Any name can be a folder's, but not that of a file that is there.
        if os.path.exists(output):
            raise
        by_ending = None
    return formats or [by_ending or "text"], by_ending is None


def _read(arguments, settings, plan, problems):
    from contextlib import ExitStack
    from dataclasses import replace

    from tqdm import tqdm

    from ...recognition.many import read_many

    lines = arguments.segmentation and functools.partial(_lines, arguments.segmentation)
    notes, doubtful = [], 0
    with ExitStack() as stack:
        for file in dict.fromkeys(file for _, files in plan for file in files):
            stack.enter_context(file)
        # On a terminal that shows the readings, they are progress enough.
        quiet = True if len(plan) == 1 or not arguments.output and sys.stdout.isatty() else None
        bar = stack.enter_context(tqdm(total=len(plan), unit="page", disable=quiet, leave=False))
        readings = read_many(settings, [source for source, _ in plan],
                             min(arguments.jobs, len(plan)), lines or None)
        for (source, files), reading in zip(plan, readings):
            if isinstance(reading, OCRError):
                problems.append(reading)
                reading = None
            else:
                low = sum(line.low_confidence for line in reading.lines)
                doubtful += low
                if not reading.lines:
                    notes.append(f"{source.title}: no lines of text found")
                if low:
                    notes.append(f"{source.title}: {low} of {len(reading.lines)} line(s) of low "
                                 "confidence")
                if arguments.drop_unsure is not None:
                    reading = replace(reading, lines=tuple(
                        line for line in reading.lines
                        if line.confidence >= arguments.drop_unsure))
            for file in files:
                file.add(reading)
            bar.update()
    if len(notes) > _SAID:
        notes = [f"{doubtful:,} line(s) of low confidence or none found on {len(notes):,} pages"]
    for note in notes:
        say(note)


def _lines(segmentation, source, grey):
    """Return where a file says that the lines of an image are."""
    from ...layout import read_segmentation

    if os.path.isdir(segmentation):
        name = os.path.splitext(os.path.basename(source.name))[0]
        if source.page is not None:
            name += f"-{source.page:04d}"
        stem = os.path.join(segmentation, name)
        found = [stem + ending for ending in (".xml", ".json") if os.path.isfile(stem + ending)]
        if not found:
            raise DataError(f"{source.title}: {segmentation} has neither {name}.xml nor .json")
        segmentation = found[0]
    return read_segmentation(segmentation, grey.shape[::-1])
