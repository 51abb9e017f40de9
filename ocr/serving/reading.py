"""A model as the service uses it: images to prepared lines, logits to readings."""

import dataclasses
import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..batching.batches import WIDTH_STEP
from ..image import crop, input_width, line_to_input, prepare_line
from ..recognition.pages import PageReader
from ..recognition.tuned import pipeline_of

__all__ = ["ServedRecogniser", "OpenPage", "open_served"]

#: Widths that are read once before a model serves, in steps of `WIDTH_STEP` or so.
_WARM = (1, 8, 16)


@dataclass(frozen=True)
class OpenPage:
    """An image between its being unpacked and its being read.

    Attributes
    ----------
    size : tuple of int
        (width, height) in pixels.
    lines : list of TextLine
    arrays : list of numpy.ndarray
        The lines as the network sees them: float32, (H, W).
    source : ocr.recognition.inputs.ImageSource or None
        Where it comes from.
    """

    size: tuple
    lines: list
    arrays: list
    source: Any = None


class ServedRecogniser:
    """A recogniser with its decoder, in the steps of a service.

    Any thread may call any method.

    Parameters
    ----------
    recogniser : LineRecogniser
    pipeline : PipelineConfig, optional
        What reads its lines best by default. It is decoded with in this
        process: its `workers` is taken for 1.

    Attributes
    ----------
    recogniser : LineRecogniser
    height, classes : int
    width : int or None
        None for networks that read any width.
    max_width : int
        Columns, margins included, that one line may have.
    width_step : int or None
        What `run` wants widths to be a multiple of.
    run : callable
        (images (N, 1, height, W), widths (N,)) -> (logits (N, T, classes), frames (N,)).
    """

    def __init__(self, recogniser, pipeline=None):
        from ..correction import build_pipeline
        from ..decoding import decoder_stage

        self.recogniser, preprocess = recogniser, recogniser.preprocess
        self.height, self.width = preprocess.height, preprocess.width
        self.max_width = preprocess.width or input_width(preprocess.max_width, preprocess)
        self.width_step = None if preprocess.width else math.lcm(WIDTH_STEP, recogniser.stride)
        self.classes = recogniser.alphabet.num_classes
        self.run = recogniser.read_arrays
        config = pipeline or recogniser.pipeline
        if hasattr(config.decoder.settings, "workers"):
            config = config.changed(workers=1)
        #: Tells whether confidences are calibrated, as a pipeline does.
        self.config = config
        self._pipeline = build_pipeline(config, recogniser.alphabet)
        # Greedy decoding has one reading; where a beam can be had, it tells what else there is.
        self._beam = None
        if config.decoder.name == "greedy" and importlib.util.find_spec("pyctcdecode"):
            self._beam = build_pipeline(dataclasses.replace(
                config, decoder=decoder_stage("beam", workers=1)), recogniser.alphabet)

    def warm_up(self):
        """Read blank lines of several widths, so that the first request does not wait."""
        for width in (self.width,) if self.width else [n * self.width_step for n in _WARM]:
            images = np.zeros((1, 1, self.height, width), np.float32)
            self.run(images, np.array([width], np.float32))

    def open_page(self, grey, lines="auto"):
        """Find an image's lines, cut them out and prepare them.

        Parameters
        ----------
        grey : numpy.ndarray
            uint8, (height, width).
        lines : {"auto", "one", "find"}

        Returns
        -------
        OpenPage

        Raises
        ------
        ConfigError
            Lines are to be found without scikit-image.
        """
        found = self._reader(lines).lines_of(grey)
        config = self.recogniser.preprocess
        return OpenPage(grey.shape[::-1], found, [
            line_to_input(prepare_line(crop(grey, line), config), config) for line in found])

    def finish(self, pages, logits, alternatives=0):
        """Decode the lines of pages.

        Parameters
        ----------
        pages : list of OpenPage
        logits : list of numpy.ndarray
            Of all their lines, in order.
        alternatives : int
            Other readings a line, at most.

        Returns
        -------
        list of PageReading
        """
        reader, at, readings = self._reader("one", alternatives + 1), 0, []
        for page in pages:
            part = logits[at:at + len(page.lines)]
            reading, source = reader.assemble(page.size, page.lines, part), page.source
            at += len(page.lines)
            readings.append(reading if source is None else dataclasses.replace(
                reading, name=source.name, page=source.page, source=source))
        return readings

    def decode(self, logits, n_best=1):
        """Decode as the model's pipeline does; what a beam found follows a greedy reading."""
        lines = self._pipeline.decode(logits, n_best=n_best)
        if self._beam is None or n_best < 2:
            return lines
        others = self._beam.decode(logits, n_best=n_best)
        return [[line[0], *[h for h in more if h.text != line[0].text][:n_best - 1]]
                for line, more in zip(lines, others)]

    def _reader(self, lines, n_best=1):
        return PageReader(self.recogniser, self, lines=lines, n_best=n_best)


def open_served(path, config):
    """Open a model file for serving.

    Parameters
    ----------
    path : str
        Of ``ocr export`` (``.onnx``) or ``ocr train``.
    config : ServingConfig

    Returns
    -------
    ServedRecogniser
        With the decoder that ``ocr recognise`` would take: what is stored in the file or
        tuned beside it, else greedy; or the one that `config.decoder` names.

    Raises
    ------
    OCRError
        The file, the device or the decoder cannot be used.
    """
    from ..recognition import open_recogniser

    recogniser = open_recogniser(path, config.device, config.network_threads)
    return ServedRecogniser(recogniser, pipeline_of(path, config.decoder))
