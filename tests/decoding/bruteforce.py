"""All paths of tiny CTC lattices."""

import itertools

import numpy as np


def collapse(path, blank):
    """Merge repeats, drop blanks."""
    return tuple(c for i, c in enumerate(path) if c != blank and (i == 0 or c != path[i - 1]))


def all_paths(log_probabilities, blank):
    """Yield (label, log probability, path) of every path."""
    frames, classes = log_probabilities.shape
    for path in itertools.product(range(classes), repeat=frames):
        score = sum(log_probabilities[t, c] for t, c in enumerate(path))
        yield collapse(path, blank), float(score), path


def label_probabilities(log_probabilities, blank):
    """Return {label: total probability}."""
    totals = {}
    for label, score, _ in all_paths(log_probabilities, blank):
        totals[label] = totals.get(label, 0.0) + np.exp(score)
    return totals


def best_path_of(log_probabilities, label, blank):
    """Log probability of the label's most probable path."""
    return max(score for found, score, _ in all_paths(log_probabilities, blank)
               if found == tuple(label))
