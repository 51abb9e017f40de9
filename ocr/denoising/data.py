"""What the denoiser trains on: real pairs, and clean text with a recogniser's noise."""

import os
from collections import Counter

import numpy as np
from rapidfuzz.distance import Levenshtein

from lm.base.errors import DataError, MissingDataError, TrainingError
from lm.denoising import read_pairs
from lm.noise import tidy

from ..text.ctc import frames_needed

__all__ = ["read_texts", "CleanText", "Examples"]

#: Bytes read around a random place of a corpus.
_BLOCK = 4096
#: Random windows tried before a corpus is given up.
_TRIES = 1000


def read_texts(paths, say=print):
    """Read pair files.

    Parameters
    ----------
    paths : sequence of str
        Written by ``ocr denoise-data``.
    say : callable
        Told of readings of a network's own training lines.

    Returns
    -------
    list of (str, str)
        Truth and reading, tidy.
    """
    texts = []
    for path in paths:
        header, pairs = read_pairs(path)
        if str(header.get("readings_of_training_lines", "")).startswith("in-sample"):
            say(f"{path}: {header.get('meaning', 'readings of training lines')}")
        texts += [(tidy(pair.truth), tidy(pair.reading)) for pair in pairs]
    return texts


class CleanText:
    """Random windows of text files of any size, cut between words.

    Parameters
    ----------
    paths : sequence of str
        UTF-8.
    alphabet : Alphabet
        Windows with other characters are passed over.
    lengths : sequence of int
        Lengths that windows are to have at most, drawn at random: those of real lines.

    Attributes
    ----------
    passed_over : int
        Windows with characters outside the alphabet so far.

    Raises
    ------
    MissingDataError, DataError
        A file is missing or empty; later: not UTF-8, or hardly a window can be used.
    """

    def __init__(self, paths, alphabet, lengths):
        self.paths, self.alphabet, self.passed_over = tuple(paths), alphabet, 0
        self._lengths = np.array(sorted(lengths))
        for path in self.paths:
            if not os.path.isfile(path):
                raise MissingDataError(f"{path}: no such text file")
            if not os.path.getsize(path):
                raise DataError(f"{path}: empty")
        self._sizes = [os.path.getsize(path) for path in self.paths]
        self._ends = np.cumsum(self._sizes)

    def window(self, rng):
        """Return a window that `rng` chooses: large files come up more often."""
        for _ in range(_TRIES):
            length = int(self._lengths[rng.integers(len(self._lengths))])
            words = self._line(rng).split()
            start = int(rng.integers(len(words))) if words else 0
            window = ""
            for word in words[start:]:
                longer = f"{window} {word}" if window else word
                if len(longer) > length:
                    break
                window = longer
            if not window:
                continue
            if not self.alphabet.unknown(window):
                return window
            self.passed_over += 1
        raise DataError(f"{', '.join(self.paths)}: {_TRIES} windows in a row hold no text, or "
                        "characters that the pairs do not")

    def _line(self, rng):
        """One of the lines, or pieces of a long one, around a random place."""
        place = int(rng.integers(self._ends[-1]))
        file = int(np.searchsorted(self._ends, place, side="right"))
        path, size = self.paths[file], self._sizes[file]
        place -= int(self._ends[file]) - size
        with open(path, "rb") as source:
            source.seek(place)
            block = source.read(_BLOCK)
        # A block may begin and end inside a character: cut at line ends or, failing these,
        # at spaces.
        if place:
            first = block.find(b"\n")
            first = first if first >= 0 else block.find(b" ")
            block = block[first + 1:] if first >= 0 else b""
        if place + _BLOCK < size:
            last = block.rfind(b"\n")
            block = block[:max(last if last >= 0 else block.rfind(b" "), 0)]
        lines = block.split(b"\n")
        try:
            return tidy(lines[int(rng.integers(len(lines)))].decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8 ({error.reason}) within {_BLOCK} bytes after "
                            f"byte {place}") from None


class Examples:
    """Training examples; unusable ones are counted, never trained on.

    Parameters
    ----------
    texts : list of (str, str)
        Truth and reading.
    alphabet : Alphabet
    frame_count : callable
        Length of a reading -> frames of the network.
    noise : NoiseModel
    clean : callable
        Generator -> clean text to be noised.
    other_share : float
        Share of the examples in which one character is made an unknown one.

    Attributes
    ----------
    real : list of (str, str)
        The usable pairs.
    counts : Counter
        Reasons and numbers of what was left out.

    Raises
    ------
    TrainingError
        No pair is usable.
    """

    def __init__(self, texts, alphabet, frame_count, noise, clean, other_share):
        self.alphabet, self.frame_count = alphabet, frame_count
        self.noise, self.clean, self.other_share = noise, clean, other_share
        self.counts, self.real = Counter(), []
        for truth, reading in texts:
            reason = self._unusable(truth, reading)
            if reason:
                self.counts[f"pairs: {reason}"] += 1
            else:
                self.real.append((truth, reading))
        if not self.real:
            raise TrainingError(f"no pair can be trained on ({dict(self.counts)})")

    def _unusable(self, truth, reading):
        """Why MXNet's CTC would learn nothing from a pair (its loss would be 0), or None."""
        if not truth:
            return "empty truth"
        if frames_needed(truth) > self.frame_count(len(reading)):
            return "infeasible for CTC: the reading is too short"
        return None

    def real_example(self, position, seed):
        """Return pair number `position` of an endless sequence of shuffled passes."""
        turn, index = divmod(position, len(self.real))
        # A generator for each example would be slow: the order of a pass is kept.
        if getattr(self, "_turn", None) != (turn, seed):
            self._turn = turn, seed
            self._order = np.random.default_rng([seed, 1, turn]).permutation(len(self.real))
        return self.real[self._order[index]]

    def noised_example(self, rng):
        """Return a clean text and its noised form."""
        for _ in range(_TRIES):
            truth = self.clean(rng)
            reading = self.noise.apply(truth, rng)
            reason = self._unusable(truth, reading)
            if reason is None:
                return truth, reading
            self.counts[f"noised lines: {reason}"] += 1
        raise TrainingError(f"{_TRIES} noised lines in a row cannot be trained on")

    def encode(self, truth, reading, rng):
        """Return (reading's labels, truth's labels), now and then with an unknown character."""
        source = self.alphabet.encode(reading, unknown="replace")
        target = self.alphabet.encode(truth, unknown="replace")
        if rng.random() < self.other_share:
            same = [m for m in Levenshtein.opcodes(reading, truth) if m.tag == "equal"]
            if same:
                block = same[int(rng.integers(len(same)))]
                offset = int(rng.integers(block.src_end - block.src_start))
                other = len(self.alphabet) - 1
                source[block.src_start + offset] = target[block.dest_start + offset] = other
        return source, target

    def batches(self, seed, pool, drawn, clean_share, batch_size, number):
        """Make a pool of batches of similar length, the same for the same arguments.

        Parameters
        ----------
        seed, pool : int
        drawn : int
            Real examples drawn by earlier pools.
        clean_share : float
            Chance of an example to be noised clean text.
        batch_size, number : int

        Returns
        -------
        batches : list of list of (list of int, list of int)
        drawn : int
        """
        rng = np.random.default_rng([seed, 2, pool])
        examples = []
        for noised in rng.random(batch_size * number) < clean_share:
            if noised:
                pair = self.noised_example(rng)
            else:
                pair = self.real_example(drawn, seed)
                drawn += 1
            examples.append(self.encode(*pair, rng))
        examples.sort(key=lambda example: len(example[0]))
        made = [examples[i:i + batch_size] for i in range(0, len(examples), batch_size)]
        return [made[i] for i in rng.permutation(number)], drawn
