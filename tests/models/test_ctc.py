"""MXNet's CTC loss, as training calls it, against the sum over all paths."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ocr.base.backend import gluon, nd
from ocr.text.ctc import frames_needed


def enumerated_loss(logits, label, blank):
    """-log of the total probability of every path that collapses to `label`."""
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        collapsed = [c for i, c in enumerate(path) if c != blank and (i == 0 or c != path[i - 1])]
        if collapsed == label:
            total += np.prod([probabilities[t, c] for t, c in enumerate(path)])
    return -np.log(total)


@settings(max_examples=15)
@given(st.integers(0, 2 ** 20), st.integers(1, 5), st.lists(st.integers(0, 1), min_size=1,
                                                            max_size=3))
def test_equals_enumeration(seed, frames, label):
    if frames_needed(label) > frames:
        return
    logits = np.random.default_rng(seed).normal(0, 2, (frames, 3)).astype(np.float32)
    # Padded frames and labels must not count.
    padded = np.concatenate([logits, np.ones((4, 3), np.float32)])
    row = label + [-1] * (4 - len(label))
    loss = gluon.loss.CTCLoss(layout="NTC", label_layout="NT")(
        nd.array(padded[None]), nd.array([row]), nd.array([frames]), nd.array([len(label)]))
    np.testing.assert_allclose(loss.asscalar(), enumerated_loss(logits, label, 2), rtol=1e-4)


def test_infeasible_labels_have_no_loss_which_is_why_they_are_sorted_out():
    loss = gluon.loss.CTCLoss(layout="NTC", label_layout="NT")(
        nd.zeros((1, 4, 3)), nd.array([[0, 0, 0]]))
    assert loss.asscalar() == 0 and frames_needed([0, 0, 0]) == 5
