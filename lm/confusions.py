"""What a recogniser misreads for what: character confusions, learned from what it has read."""

import functools
import math
import unicodedata
from collections import Counter
from dataclasses import dataclass, field, fields

from rapidfuzz.distance import Levenshtein

from .base.errors import ConfigError, DataError, MissingDataError
from .base.files import read_json, write_json
from .wordforms import fold

__all__ = ["ConfusionModel", "FORMAT"]

FORMAT = "confusions-1"

#: Of misreadings of unknown kind: characters changed, dropped, put in.
_SHARES = (0.6, 0.2, 0.2)

#: A character's own misreadings weigh as much as those of all together once it came so often.
_PRIOR_COUNT = 10

#: Two characters read as one, or one as two, count from this often on.
_FEWEST_DOUBLES = 3

#: Letters there are at least, whichever came.
_FEWEST_LETTERS = 26

#: Results of `ConfusionModel.log_prob` that are remembered.
_REMEMBERED = 1 << 18


@dataclass(frozen=True)
class ConfusionModel:
    """Probability of a reading given what was written, character by character.

    A written character is read as some character or dropped; two may be read as one and one as
    two ("rn" as "m") where that was seen often; and before, between and after them characters
    may be put in. Probabilities are counts, smoothed towards the same rates for all characters.
    Text is folded as word forms are: lower case, digits 0.

    Attributes
    ----------
    changed, dropped, inserted : float
        Rates over all characters: of those written, and (`inserted`) of what may come at a
        place before, between or after them, nothing more or a character put in.
    letters : int
        Characters that a misread one may become.
    reads : dict
        Written character -> {what was read, "" if nothing: count}.
    insertions : dict
        Character put in -> count.
    places : int
        Places where one could be put in.
    merges : dict
        Two written characters -> {one read: count}.
    pairs : dict
        Those two -> how often they were written.
    splits : dict
        Written character -> {two read: count}.
    """

    changed: float
    dropped: float
    inserted: float
    letters: int = _FEWEST_LETTERS
    reads: dict = field(default_factory=dict, repr=False)
    insertions: dict = field(default_factory=dict, repr=False)
    places: int = 0
    merges: dict = field(default_factory=dict, repr=False)
    pairs: dict = field(default_factory=dict, repr=False)
    splits: dict = field(default_factory=dict, repr=False)

    def __post_init__(self):
        rates = (self.changed, self.dropped, self.inserted)
        if not all(rate > 0 for rate in rates) or self.changed + self.dropped >= 1 \
                or self.inserted >= 1:
            raise ConfigError(f"confusions: the rates {rates} are not between 0 and 1")
        written = {c: sum(counts.values()) for c, counts in self.reads.items()}
        for doubles, totals in ((self.merges, self.pairs), (self.splits, written)):
            for c, counts in doubles.items():
                if not 0 < sum(counts.values()) <= totals.get(c, 0):
                    raise ConfigError(f"confusions: {c!r} was read as two or one more often than "
                                      "it was written")
        tables = {
            "_reads": {c: self._smoothed(c, counts) for c, counts in self.reads.items()},
            "_merges": {pair: {r: math.log(n / self.pairs[pair]) for r, n in counts.items()}
                        for pair, counts in self.merges.items()},
            "_splits": {c: {r: math.log(n / written[c]) for r, n in counts.items()}
                        for c, counts in self.splits.items()},
            "_inserted": {c: self._log_inserted(n) for c, n in self.insertions.items()},
            "_usual_inserted": self._log_inserted(0),
            "_nothing_inserted": math.log((self.places + _PRIOR_COUNT * (1 - self.inserted))
                                          / self._trials()),
            "_remembered": functools.lru_cache(_REMEMBERED)(self._align),
        }
        for name, table in tables.items():
            object.__setattr__(self, name, table)

    # -- making one -----------------------------------------------------------------------

    @classmethod
    def uniform(cls, error_rate=0.05):
        """Return a model where every misreading is as likely, for when nothing was counted.

        Parameters
        ----------
        error_rate : float
            Of characters; between 0 and 1, ends left out.
        """
        if not 0 < error_rate < 1:
            raise ConfigError(f"error_rate must lie between 0 and 1, not {error_rate!r}")
        return cls(*(share * error_rate for share in _SHARES))

    @classmethod
    def learn(cls, pairs):
        """Count the confusions of readings.

        Parameters
        ----------
        pairs : iterable of lm.denoising.DenoisingPair
            Lines (or words) as written and as read.

        Raises
        ------
        DataError
            Nothing written in any of them.
        """
        reads, insertions, merges, splits = {}, Counter(), {}, {}
        both, letters, places = Counter(), set(), 0
        for pair in pairs:
            truth, reading = _folded(pair.truth), _folded(pair.reading)
            letters.update(truth, reading)
            places += len(truth) + 1
            both.update(map("".join, zip(truth, truth[1:])))
            for a, b, c, d in _runs(truth, reading):
                if (b - a, d - c) == (2, 1):
                    merges.setdefault(truth[a:b], Counter())[reading[c:d]] += 1
                elif (b - a, d - c) == (1, 2):
                    splits.setdefault(truth[a:b], Counter())[reading[c:d]] += 1
            for written, read in _steps(truth, reading):
                if written:
                    reads.setdefault(written, Counter())[read] += 1
                else:
                    insertions[read] += 1
        total = sum(sum(counts.values()) for counts in reads.values())
        if not total:
            raise DataError("no written characters to learn confusions from")
        dropped = sum(counts[""] for counts in reads.values())
        changed = total - dropped - sum(counts[c] for c, counts in reads.items())
        put_in = sum(insertions.values())
        rates = [(n + share) / (trials + 2) for n, trials, share in zip(
            (changed, dropped, put_in), (total, total, places + put_in), _SHARES)]
        merges, splits = _frequent(merges), _frequent(splits)
        return cls(*rates, max(len(letters), _FEWEST_LETTERS),
                   {c: dict(counts) for c, counts in sorted(reads.items())},
                   dict(sorted(insertions.items())), places, merges,
                   {pair: both[pair] for pair in merges}, splits)

    def save(self, path):
        """Write the counts as JSON, atomically."""
        write_json(path, {"format": FORMAT, **{f.name: getattr(self, f.name)
                                               for f in fields(self)}})

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Raises
        ------
        MissingDataError, DataError
            No such file; cut short, or not what `save` writes.
        """
        value = read_json(path, missing=MissingDataError(f"{path}: no such file of confusions"))
        if value.pop("format", None) != FORMAT:
            raise DataError(f"{path}: not a file of confusions ({FORMAT})")
        names = [f.name for f in fields(cls)]
        if sorted(value) != sorted(names):
            wrong = sorted(set(value) ^ set(names))
            raise DataError(f"{path}: keys missing or unknown: {', '.join(wrong)}")
        for name in names:
            if not _is_sound(name, value[name]):
                raise DataError(f"{path}: {name} does not hold what it should")
        try:
            return cls(**value)
        except ValueError as error:
            raise DataError(f"{path}: its figures do not fit together ({error})") from None

    # -- using it -------------------------------------------------------------------------

    def log_prob(self, truth, reading):
        """Return the natural log probability of reading `reading` where `truth` was written.

        That of the most probable alignment of the two; results are remembered.

        Parameters
        ----------
        truth, reading : str
            Word forms.
        """
        return self._remembered(truth, reading)

    def most_common(self, n=10):
        """Return the `n` most frequent confusions as (written, read, count), "" for nothing."""
        found = [(c, read, count) for table in (self.reads, self.merges, self.splits)
                 for c, counts in table.items() for read, count in counts.items() if read != c]
        found += [("", c, count) for c, count in self.insertions.items()]
        return sorted(found, key=lambda row: (-row[2], row))[:n]

    def _smoothed(self, character, counts):
        """Return ({read: log probability}, that of a character never read for this one)."""
        total = sum(counts.values()) + _PRIOR_COUNT
        other = self.changed / (self.letters - 1)
        usual = {character: 1 - self.changed - self.dropped, "": self.dropped}
        table = {read: math.log((counts.get(read, 0) + _PRIOR_COUNT * usual.get(read, other))
                                / total) for read in {*counts, *usual}}
        return table, math.log(_PRIOR_COUNT * other / total)

    def _trials(self):
        # After each character put in there may be another.
        return self.places + sum(self.insertions.values()) + _PRIOR_COUNT

    def _log_inserted(self, count):
        return math.log((count + _PRIOR_COUNT * self.inserted / self.letters) / self._trials())

    def _align(self, truth, reading):
        end = len(reading)
        stay, usual = self._nothing_inserted, self._usual_inserted
        put_in = [self._inserted.get(c, usual) for c in reading]
        rows = [[-math.inf] * (end + 1) for _ in range(len(truth) + 1)]
        rows[0][0] = 0.0
        for i, row in enumerate(rows):
            # Forward: each cell is final when its turn comes.
            for j in range(end):
                if row[j] + put_in[j] > row[j + 1]:
                    row[j + 1] = row[j] + put_in[j]
            if i == len(truth):
                return row[end] + stay
            written, below = truth[i], rows[i + 1]
            table, other = self._reads.get(written) or self._smoothed(written, {})
            drop = table[""] + stay
            below[0] = max(below[0], row[0] + drop)
            for j in range(end):
                score = max(row[j] + table.get(reading[j], other) + stay, row[j + 1] + drop)
                if score > below[j + 1]:
                    below[j + 1] = score
            for read, log_prob in self._splits.get(written, {}).items():
                for j in range(end - 1):
                    if reading.startswith(read, j):
                        below[j + 2] = max(below[j + 2], row[j] + log_prob + stay)
            for read, log_prob in self._merges.get(truth[i:i + 2], {}).items():
                for j in range(end):
                    if reading[j] == read:
                        rows[i + 2][j + 1] = max(rows[i + 2][j + 1], row[j] + log_prob + stay)


def _folded(text):
    return fold(unicodedata.normalize("NFC", text))


def _steps(truth, reading):
    """Yield (written, read) of an alignment: one character each, or "" on either side."""
    for code, a, b, c, d in Levenshtein.opcodes(truth, reading):
        if code in ("equal", "replace"):
            yield from zip(truth[a:b], reading[c:d])
        elif code == "delete":
            yield from ((character, "") for character in truth[a:b])
        else:
            yield from (("", character) for character in reading[c:d])


def _runs(truth, reading):
    """Yield (start, end) in `truth` and in `reading` of each whole stretch that differs."""
    a = c = 0
    for code, start, end, read_start, read_end in Levenshtein.opcodes(truth, reading):
        if code == "equal":
            if (a, c) != (start, read_start):
                yield a, start, c, read_start
            a, c = end, read_end
    if (a, c) != (len(truth), len(reading)):
        yield a, len(truth), c, len(reading)


def _frequent(doubles):
    kept = {written: {read: n for read, n in sorted(counts.items()) if n >= _FEWEST_DOUBLES}
            for written, counts in sorted(doubles.items())}
    return {written: counts for written, counts in kept.items() if counts}


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_sound(name, value):
    """Tell whether a key of the file holds figures of its kind."""
    if name in ("changed", "dropped", "inserted"):
        return isinstance(value, float)
    if name == "letters":
        return _is_count(value) and value >= 2
    if name == "places":
        return _is_count(value)
    if not isinstance(value, dict):
        return False
    if name in ("insertions", "pairs"):
        return all(map(_is_count, value.values()))
    return all(isinstance(counts, dict) and all(map(_is_count, counts.values()))
               for counts in value.values())
