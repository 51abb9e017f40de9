"""What reads lines, whatever runs the network."""

import contextlib
from typing import TYPE_CHECKING, Optional

import numpy as np

from lm.base.errors import DataError

from ..batching import PreparedLines, evaluation_batches
from ..correction import PipelineConfig, build_pipeline
from ..image import PreprocessConfig, image_columns, prepare_line
from ..text.alphabet import Alphabet
from .tuned import pipeline_of, tuned_mark

if TYPE_CHECKING:
    from ..checkpoints.settings import ExperimentConfig

__all__ = ["LineRecogniser", "read_batches"]


def read_batches(read, prepared, batch_size=16, workers=1, progress=False):
    """Run a function over prepared lines, in batches of similar width.

    Parameters
    ----------
    read : callable
        (images (N, 1, height, W), widths (N,)) -> (logits (N, T, classes), frames (N,)).
    prepared : PreparedLines
    batch_size, workers, progress :
        As for `compute_logits`.

    Returns
    -------
    list of numpy.ndarray
        For each line, in order, its raw logits: float32, (frames, classes).
    """
    results = [None] * len(prepared)
    with _progress_bar(len(prepared), progress) as bar:
        for batch in evaluation_batches(prepared, batch_size, workers):
            logits, frames = read(batch.images, batch.widths)
            for row, index in enumerate(batch.indices):
                results[index] = logits[row, :frames[row]]
            if bar is not None:
                bar.update(len(batch))
    return results


def _progress_bar(total, progress):
    if not progress:
        return contextlib.nullcontext()
    from tqdm import tqdm

    return tqdm(total=total, desc="reading", unit="line", leave=False, disable=None)


class _Scaled:
    """Images in memory, scaled as `PreparedLines` are."""

    def __init__(self, images, preprocess):
        self.preprocess, self._lines = preprocess, []
        for index, image in enumerate(images):
            try:
                self._lines.append(prepare_line(image, preprocess))
            except DataError as error:
                raise DataError(f"image {index}: {error}") from None
        self.widths = np.array([line.shape[1] for line in self._lines], np.int64)

    def __len__(self):
        return len(self._lines)

    def __getitem__(self, index):
        return self._lines[index]


class LineRecogniser:
    """What reads lines, whatever runs the network: a subclass has `read_arrays` and the attributes.

    Attributes
    ----------
    alphabet : Alphabet
    preprocess : PreprocessConfig
    config : ExperimentConfig
    state : dict
        How far it was trained.
    frame_pixels : float
        Columns of the network's input that a frame stands for.
    path : str or None
        The model's file.
    pipeline : PipelineConfig
        Decoder and correctors that read its lines best (see `ocr.recognition.tuned.best_name`).
    """

    alphabet: Alphabet
    preprocess: PreprocessConfig
    config: "ExperimentConfig"
    state: dict
    frame_pixels: float
    path: Optional[str] = None
    #: The decoder last used, by its settings; `pipeline` with what it depends on.
    _decoder = _pipeline = (None, None)

    @property
    def pipeline(self):
        # Tuned anew while the model is open, it is another.
        mark = tuned_mark(self.path) if self.path else None
        if self._pipeline[1] is None or self._pipeline[0] != mark:
            self._pipeline = mark, pipeline_of(self.path) if self.path else PipelineConfig()
        return self._pipeline[1]

    def prepare(self, dataset, cache=None):
        """Return a dataset's lines scaled as this network reads them (`PreparedLines`)."""
        return PreparedLines(dataset, self.preprocess, cache)

    def logits(self, prepared, batch_size=16, progress=True):
        """Return raw logits, one (frames, classes) float32 array for each prepared line."""
        return read_batches(self.read_arrays, prepared, batch_size, progress=progress)

    def logits_of_images(self, images, batch_size=16):
        """Return the logits of grey images (list of uint8 (height, width) arrays).

        Raises
        ------
        DataError
            An image is not grey, not uint8 or empty; the message names its position.
        """
        return self.logits(_Scaled(images, self.preprocess), batch_size, progress=False)

    def recognise(self, images, decoder=None, batch_size=16):
        """Read line images.

        Parameters
        ----------
        images : sequence of numpy.ndarray
            Grey, uint8, (height, width), one line each.
        decoder : str, Stage or PipelineConfig, optional
            A name such as "greedy" or "beam-char+spelling", with the settings that were tuned
            for this model; or settings. By default `pipeline`.
        batch_size : int

        Returns
        -------
        list of Hypothesis
            The best reading of each line; positions are frames (see `columns_of`).

        Raises
        ------
        DataError
            As for `logits_of_images`.
        """
        if decoder is None:
            decoder = self.pipeline
        elif isinstance(decoder, str) and self.path:
            decoder = pipeline_of(self.path, decoder)
        decoder = PipelineConfig.of(decoder)
        # One look: another thread may ask for another decoder.
        known, built = self._decoder
        if known != decoder:
            built = build_pipeline(decoder, self.alphabet)
            self._decoder = (decoder, built)
        logits = self.logits_of_images(images, batch_size)
        return [hypotheses[0] for hypotheses in built.decode(logits)]

    def columns_of(self, span, shape, frames=None):
        """Return where a character or word stands in its image.

        Parameters
        ----------
        span : Span
            Its frames.
        shape : tuple of int
            (height, width) of the image that was read.
        frames : int, optional
            How many its logits have; where letters are stood upright, positions follow from it.

        Returns
        -------
        tuple of float
            Left and right edge in pixels of the image, inside 0..width.
        """
        ends = (span.start * self.frame_pixels, span.end * self.frame_pixels)
        return image_columns(ends, shape[0], shape[1], self.preprocess,
                             frames and frames * self.frame_pixels)

    def read_arrays(self, images, widths):
        """Run the network on prepared lines.

        Parameters
        ----------
        images : numpy.ndarray
            float32, (N, 1, height, W), as `ocr.image.line_to_input` makes them, 0 beyond
            each line's width; W is a multiple of the stride.
        widths : numpy.ndarray
            float32, (N,), in pixels.

        Returns
        -------
        logits : numpy.ndarray
            float32, (N, T, classes).
        frames : numpy.ndarray
            Integers, (N,): how many of the T belong to each line.

        Raises
        ------
        ModelError
            A shape that does not fit.
        """
        raise NotImplementedError
