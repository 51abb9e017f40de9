"""From the network's confidences to probabilities of being right."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from lm.base.errors import ConfigError, DataError
from lm.base.settings import from_mapping, to_mapping

__all__ = ["Calibrator", "joint_confidence", "log_odds"]

#: Confidences are taken no closer than this to 0 and 1: their log-odds stay finite.
CLIP = 1e-6

#: Pull of slope and offset towards 1 and 0 (the raw confidence). A few lines move little, and
#: data that are all right or all wrong have a finite optimum; it is lost in thousands of words.
RIDGE = 0.1


def log_odds(confidences):
    """Return ln(p / (1 - p)) of confidences in 0..1, clipped to `CLIP`..1 - `CLIP`.

    Parameters
    ----------
    confidences : array_like
        Of any shape.

    Returns
    -------
    numpy.ndarray
        float64, of the same shape.

    Raises
    ------
    DataError
        A confidence outside 0..1, or NaN.
    """
    p = np.asarray(confidences, np.float64)
    wrong = p[~((p >= 0) & (p <= 1))]
    if wrong.size:
        raise DataError(f"confidence {wrong.flat[0]:g} is not in 0..1")
    p = np.clip(p, CLIP, 1 - CLIP)
    return np.log(p) - np.log1p(-p)


def joint_confidence(hypothesis):
    """Return the product of a reading's character confidences, as if each erred by itself.

    A long line goes wrong more easily than a short one whose characters are as sure: this tells
    them apart, the geometric mean in `Hypothesis.confidence` does not.

    Parameters
    ----------
    hypothesis : Hypothesis
        Not calibrated.

    Returns
    -------
    float
    """
    return hypothesis.confidence ** max(len(hypothesis.text), 1)


@dataclass(frozen=True)
class Calibrator:
    """Logistic map of log-odds: sigmoid(slope * log-odds + offset), for words and for lines.

    A slope is never negative, so that the order of readings stays. Slope 1 and offset 0 leave
    a confidence as it is (within `CLIP`).

    Attributes
    ----------
    word_slope, word_offset : float
    line_slope, line_offset : float

    Examples
    --------
    >>> calibrator = Calibrator.fit([(0.9, True), (0.8, False)], [(0.9, False)])
    >>> Calibrator.from_dict(calibrator.to_dict()) == calibrator
    True
    """

    word_slope: float
    word_offset: float
    line_slope: float
    line_offset: float

    def __post_init__(self):
        for name, value in to_mapping(self).items():
            if not math.isfinite(value):
                raise ConfigError(f"calibration: {name} must be finite, not {value}")
        for name in ("word_slope", "line_slope"):
            if getattr(self, name) < 0:
                raise ConfigError(f"calibration: {name} must not be negative")

    @classmethod
    def fit(cls, word_outcomes, line_outcomes):
        """Fit on outcomes of validation lines, each kind by its own.

        Minimises the log loss plus a small ridge around slope 1 and offset 0: on its own data
        the log loss is never higher than the raw confidences'. Without any outcome the
        confidences stay raw.

        Parameters
        ----------
        word_outcomes, line_outcomes : array_like
            (N, 2) or pairs: confidence in 0..1, of lines the `joint_confidence`, and whether it
            was right.

        Returns
        -------
        Calibrator

        Raises
        ------
        DataError
            Not pairs, a confidence outside 0..1, or a correctness that is no truth value.
        """
        return cls(*_fit(word_outcomes, "word outcomes"), *_fit(line_outcomes, "line outcomes"))

    def word_probability(self, confidences):
        """Return the probabilities that words of these raw confidences are right.

        Parameters
        ----------
        confidences : array_like
            In 0..1, of any shape; `DataError` otherwise.

        Returns
        -------
        numpy.ndarray
            float64, of the same shape, in 0..1.
        """
        return _sigmoid(self.word_slope * log_odds(confidences) + self.word_offset)

    def line_probability(self, confidences):
        """Return the probabilities that lines of these `joint_confidence` are wholly right."""
        return _sigmoid(self.line_slope * log_odds(confidences) + self.line_offset)

    def apply(self, hypothesis):
        """Return a hypothesis with calibrated confidences of the line and its words.

        The characters keep theirs. Give it raw confidences: a second time calibrates again.

        Parameters
        ----------
        hypothesis : Hypothesis

        Returns
        -------
        Hypothesis
        """
        words = self.word_probability([word.confidence for word in hypothesis.words])
        return dataclasses.replace(
            hypothesis, confidence=float(self.line_probability(joint_confidence(hypothesis))),
            words=tuple(word._replace(confidence=float(p))
                        for word, p in zip(hypothesis.words, words)))

    def to_dict(self):
        """Return a JSON-ready dict."""
        return to_mapping(self)

    @classmethod
    def from_dict(cls, value):
        """Rebuild from a mapping; `ConfigError` names what is missing, unknown or wrong."""
        return from_mapping(cls, value, "calibration")


def _sigmoid(u):
    # A magnitude above 700 would overflow and changes nothing.
    return 1 / (1 + np.exp(-np.clip(u, -700, 700)))


def _fit(outcomes, what):
    """Slope and offset, the slope not below 0."""
    try:
        pairs = np.asarray(outcomes, np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{what}: not pairs of confidence and correctness") from None
    if not pairs.size:
        return 1.0, 0.0
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise DataError(f"{what}: an array of shape {pairs.shape}, expected (N, 2): confidence "
                        "and correctness")
    correct = pairs[:, 1]
    if not np.isin(correct, (0, 1)).all():
        raise DataError(f"{what}: correctness must be true or false")
    try:
        odds = log_odds(pairs[:, 0])
    except DataError as error:
        raise DataError(f"{what}: {error}") from None
    ones = np.ones_like(odds)
    slope, offset = _newton(np.column_stack([odds, ones]), correct, np.array([1.0, 0.0]))
    if slope < 0:
        # The loss is convex: its lowest point where the slope may not be negative is at 0.
        slope, [offset] = 0.0, _newton(ones[:, None], correct, np.zeros(1))
    return float(slope), float(offset)


def _newton(design, correct, centre):
    """Weights of a logistic regression with a ridge around `centre`, by damped Newton steps."""
    def loss(weights):
        u = design @ weights
        pull = RIDGE / 2 * np.sum((weights - centre) ** 2)
        return np.sum(np.logaddexp(0, u) - correct * u) + pull

    weights = centre
    for _ in range(100):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - correct) + RIDGE * (weights - centre)
        hessian = (design.T * (p * (1 - p))) @ design + RIDGE * np.eye(len(weights))
        step = -np.linalg.solve(hessian, gradient)
        gain, now, share = -gradient @ step, loss(weights), 1.0
        if gain <= 1e-9 * (1 + now):
            # The last step: quadratic from here on, and below what the loss can tell apart.
            return weights + step
        while loss(weights + share * step) > now - 1e-4 * share * gain:
            share /= 2
        weights = weights + share * step
    return weights
