"""n-gram models in flat arrays: one file, memory-mapped, scored by NumPy alone.

The n-grams form a tree. Node 0 is the empty context, node 1 + w the word w, and below them
stand the longer n-grams, order by order, each after its context and then by its last word: so
the n-grams that go on from one context stand together, and each node but tells how many they
are. A node is also a state: what of the text so far the model looks at. Probabilities are
KenLM's: of an n-gram that is listed its own, else the back-off weight of the context and then
that of the n-gram without its first word.
"""

import json
import os
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union

import numpy as np

from .base.errors import LanguageModelError, MissingDataError
from .base.files import atomic_path, check_regular, parse_json

__all__ = ["SPECIAL", "BOS", "EOS", "UNK", "PackedNgram", "Rows", "State", "first_children",
           "is_packed", "read_packed"]

_MAGIC = b"packed n-gram 1\n"
_ALIGNMENT = 64
#: The first three words of every model, and their numbers.
SPECIAL = ("<unk>", "<s>", "</s>")
UNK, BOS, EOS = 0, 1, 2
#: Words from one entry of the vocabulary's index to the next.
_BLOCK = 64
#: Scores remembered by `PackedNgram.score`.
_REMEMBERED = 200_000

#: A node, and the state to back off to; None behind the empty context.
State = tuple[int, Optional["State"]]


class PackedNgram:
    """A model in memory or memory-mapped.

    Parameters
    ----------
    order : int
    vocabulary : bytes
        The words but ``<unk>``, ``<s>`` and ``</s>``, which are words 0, 1 and 2: UTF-8, sorted
        by their bytes, each followed by a line end.
    arrays : dict of str to numpy.ndarray
        starts
            (order + 2,): the first node of each order, from 0, and the number of nodes.
        children
            For each node below the highest order the number of its children; of node 0, whose
            are all the words, 0.
        block
            The first child of every 64th node.
        word
            Last word of each node from order 2.
        prob, backoff
            log10, for each node from 1 (`backoff`: below the highest order); float32, or codes.
        prob_book, backoff_book
            (order, codes) float32: what the codes stand for; missing where there are none.
    metadata : dict
        What the model's JSON file tells.
    """

    def __init__(self, order: int, vocabulary: bytes, arrays: dict[str, np.ndarray],
                 metadata: Optional[dict[str, Any]] = None):
        self.order, self.metadata, self.arrays = order, metadata or {}, arrays
        self._vocabulary = vocabulary
        self._starts = arrays["starts"].tolist()
        self._children, self._word = arrays["children"], arrays["word"]
        self._block = arrays["block"].astype(np.int64)
        # Nodes from here on are of the highest order: no states.
        self.leaves = self._starts[order]
        self._vocabulary_blocks: Optional[tuple[list[bytes], list[int]]] = None
        self._following: dict[int, tuple[np.ndarray, int]] = {}
        self._seen: dict[tuple[State, int], tuple[float, State, int]] = {}

    # -- words ---------------------------------------------------------------------------------

    @property
    def words(self) -> tuple[str, ...]:
        """All words but ``<unk>``, ``<s>`` and ``</s>``."""
        return tuple(self._vocabulary.decode("utf-8").split("\n")[:-1])

    def __len__(self) -> int:
        """Number of words, the three special ones included."""
        return self._starts[2] - 1

    def index(self, word: str) -> int:
        """Return the number of a word, 0 where it is unknown."""
        if word in SPECIAL:
            return SPECIAL.index(word)
        if self._vocabulary_blocks is None:
            lines = self._vocabulary.split(b"\n")[:-1]
            sizes = np.array([len(line) + 1 for line in lines], np.int64)
            ends = np.concatenate(([0], np.cumsum(sizes)))
            self._vocabulary_blocks = lines[::_BLOCK], ends[:-1][::_BLOCK].tolist()
        raw = word.encode("utf-8", "surrogatepass")
        heads, begins = self._vocabulary_blocks
        block = bisect_right(heads, raw) - 1
        if block < 0:
            return UNK
        end = begins[block + 1] if block + 1 < len(begins) else len(self._vocabulary)
        lines = self._vocabulary[begins[block]:end].split(b"\n")
        return lines.index(raw) + block * _BLOCK + len(SPECIAL) if raw in lines[:-1] else UNK

    # -- scores --------------------------------------------------------------------------------

    def _order_of(self, nodes: np.ndarray) -> np.ndarray:
        return self.arrays["starts"].searchsorted(nodes, side="right") - 1

    def probs(self, nodes: np.ndarray) -> np.ndarray:
        """Return the log10 probabilities of nodes from 1."""
        codes = self.arrays["prob"][nodes - 1]
        book = self.arrays.get("prob_book")
        return codes if book is None else book[self._order_of(nodes) - 1, codes]

    def backoffs(self, nodes: np.ndarray) -> np.ndarray:
        """Return the log10 back-off weights of nodes from 1 that are below the highest order."""
        codes = self.arrays["backoff"][nodes - 1]
        book = self.arrays.get("backoff_book")
        return codes if book is None else book[self._order_of(nodes) - 1, codes]

    def children(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the first child of nodes below the highest order, and how many each has."""
        block, place = np.divmod(nodes, _BLOCK)
        inside = np.arange(_BLOCK)
        counts = self._children[np.minimum(block[:, None] * _BLOCK + inside, self.leaves - 1)]
        before = counts.sum(1, np.int64, where=inside < place[:, None])
        return self._block[block] + before, self._children[nodes].astype(np.int64)

    def words_of(self, nodes: np.ndarray) -> np.ndarray:
        """Return the last words of nodes from order 2."""
        return self._word[nodes - self._starts[2]]

    def _child(self, node: int, word: int) -> int:
        """Return the node of `word` after a context, 0 where it is not listed."""
        if not node:
            return 1 + word
        words, begin = self._following.get(node) or self._follow(node)
        place = int(words.searchsorted(words.dtype.type(word)))
        return begin + place if place < len(words) and words[place] == word else 0

    def _follow(self, node: int) -> tuple[np.ndarray, int]:
        """Return the words listed after a node from 1, and the node of the first of them."""
        block = node - node % _BLOCK
        begin = int(self._block[block // _BLOCK]
                    + self._children[block:node].sum(dtype=np.int64))
        place = begin - self._starts[2]
        found = self._word[place:place + int(self._children[node])], begin
        if len(self._following) >= _REMEMBERED:
            self._following.clear()
        self._following[node] = found
        return found

    def _figure(self, name: str, node: int) -> float:
        code, book = self.arrays[name][node - 1], self.arrays.get(f"{name}_book")
        return float(code if book is None else book[bisect_right(self._starts, node) - 2, code])

    def start(self, boundary: bool = True) -> State:
        """Return the state at the start of a sentence, or that of no context."""
        empty = (0, None)
        return (1 + BOS, empty) if boundary and self.order > 1 else empty

    def score(self, state: State, word: int) -> tuple[float, State, int]:
        """Score one word.

        Parameters
        ----------
        state : State
            `start`, or what another score led to.
        word : int
            As `index` returns it.

        Returns
        -------
        log_prob : float
            log10.
        state : State
            Behind the word.
        length : int
            Of the n-gram found.
        """
        found = self._seen.get((state, word))
        if found is not None:
            return found
        node, shorter = state
        child = self._child(node, word)
        behind = self.score(shorter, word) if shorter is not None else (0.0, (0, None), 0)
        if not child:
            found = (behind[0] + self._figure("backoff", node), *behind[1:])
        else:
            found = (self._figure("prob", child),
                     (child, behind[1]) if child < self.leaves else behind[1],
                     bisect_right(self._starts, child) - 1)
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[state, word] = found
        return found

    def full_scores(self, sentence: str, bos: bool = True, eos: bool = True
                    ) -> Iterator[tuple[float, int, bool]]:
        """Yield (log10 probability, n-gram length, unknown) as ``kenlm.Model`` does."""
        state = self.start(bos)
        words = [self.index(word) for word in sentence.split(" ") if word]
        for word in words + [EOS] * eos:
            log_prob, state, length = self.score(state, word)
            yield log_prob, length, word == UNK

    # -- file ----------------------------------------------------------------------------------

    def save(self, path: Union[str, os.PathLike], metadata: Optional[dict[str, Any]] = None
             ) -> None:
        """Write the model to one file, atomically; `metadata` takes the place of its own."""
        arrays = {"vocabulary": np.frombuffer(self._vocabulary, np.uint8), **self.arrays}
        places, size = {}, 0
        for name, array in arrays.items():
            places[name] = [array.dtype.newbyteorder("<").str, array.shape, size]
            size += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        head = json.dumps({"order": self.order, "arrays": places, "size": size,
                           "metadata": self.metadata if metadata is None else metadata},
                          ensure_ascii=False).encode("utf-8")
        fixed = len(_MAGIC) + 12
        head += b" " * (-(fixed + len(head)) % _ALIGNMENT)
        with atomic_path(path) as temporary, open(temporary, "wb") as out:
            check = zlib.crc32(head)
            out.write(_MAGIC + len(head).to_bytes(8, "little") + bytes(4) + head)
            for name, array in arrays.items():
                raw = np.ascontiguousarray(array, places[name][0]).tobytes()
                raw += bytes(-len(raw) % _ALIGNMENT)
                check = zlib.crc32(raw, check)
                out.write(raw)
            out.seek(fixed - 4)
            out.write(check.to_bytes(4, "little"))


def is_packed(path: Union[str, os.PathLike]) -> bool:
    """Tell whether a file begins as those of `PackedNgram.save` do, or is called so."""
    if os.fspath(path).endswith(".ngram"):
        return True
    with open(path, "rb") as source:
        return source.read(len(_MAGIC)) == _MAGIC


def read_packed(path: Union[str, os.PathLike]) -> PackedNgram:
    """Open a file of `PackedNgram.save`; its arrays stay on disk and are shared by processes.

    Raises
    ------
    MissingDataError
        No such file.
    LanguageModelError
        Not such a file, cut off, or damaged.
    """
    path = os.fspath(path)
    check_regular(path)
    try:
        content = np.memmap(path, np.uint8, "r")
    except FileNotFoundError:
        raise MissingDataError(f"{path}: no such language model") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is empty"
        raise LanguageModelError(f"{path}: cannot be read ({reason})") from None
    fixed = len(_MAGIC) + 12
    head = content[:fixed].tobytes()
    if not head.startswith(_MAGIC) or len(head) < fixed:
        raise LanguageModelError(f"{path}: not a packed n-gram model (lm pack writes one)")
    size = int.from_bytes(head[len(_MAGIC):-4], "little")
    if zlib.crc32(content[fixed:].data) != int.from_bytes(head[-4:], "little"):
        raise LanguageModelError(f"{path}: damaged or cut off: its checksum does not agree")
    try:
        told = parse_json(content[fixed:fixed + size].tobytes(),
                          f"{path}: not a packed n-gram model", error=LanguageModelError)
        if not isinstance(told["metadata"], dict):
            raise ValueError("its metadata are no object")
        arrays = {}
        for name, (kind, shape, begin) in told["arrays"].items():
            begin += fixed + size
            count = int(np.prod(shape, dtype=np.int64))
            raw = content[begin:begin + count * np.dtype(kind).itemsize]
            arrays[name] = np.asarray(raw).view(kind).reshape(shape)
        model = PackedNgram(told["order"], arrays.pop("vocabulary").tobytes(), arrays,
                            told["metadata"])
        _check_tree(model)
    except LanguageModelError:
        raise
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise LanguageModelError(f"{path}: not a packed n-gram model ({error})") from None
    return model


def _check_tree(model: PackedNgram) -> None:
    """Raise ValueError where an index would lead out of the arrays, or a word is no text."""
    arrays, leaves = model.arrays, model.leaves
    starts, children = arrays["starts"].tolist(), arrays["children"]
    sizes = {"children": leaves, "block": -(-leaves // _BLOCK), "word": starts[-1] - starts[2],
             "prob": starts[-1] - 1, "backoff": leaves - 1}
    if (len(starts) != model.order + 2 or starts[:2] != [0, 1] or starts != sorted(starts)
            or any(len(arrays[name]) != size for name, size in sizes.items())):
        raise ValueError("its arrays do not fit together")
    if ((arrays["block"] != first_children(children, starts[2])).any()
            or starts[-1] != starts[2] + children.sum(dtype=np.int64)
            or children[0] or (arrays["word"] >= len(model)).any()):
        raise ValueError("its n-grams do not fit together")
    for name, orders in (("prob", model.order), ("backoff", model.order - 1)):
        codes, book = arrays[name], arrays.get(f"{name}_book")
        if codes.dtype.kind != ("f" if book is None else "u") or codes.ndim != 1 or (
                book is not None and (book.dtype.kind != "f" or len(book) < orders
                                      or codes.max(initial=0) >= book.shape[1])):
            raise ValueError(f"its {name} codes do not fit together")
    if len(model.words) != len(model) - len(SPECIAL):
        raise ValueError("its words do not fit together")


def first_children(children: np.ndarray, begin: int) -> np.ndarray:
    """Return the first child of every 64th node; `begin` is that of node 1."""
    return begin + np.concatenate(([0], np.cumsum(np.add.reduceat(
        children, np.arange(0, len(children), _BLOCK), dtype=np.int64))))[:-1]


# --- many states at once --------------------------------------------------------------------------

class Rows:
    """Scores of a small set of words after any state, found once for each state.

    Parameters
    ----------
    model : PackedNgram
    words : sequence of str
        What may follow; unknown words are scored as ``<unk>``.

    Attributes
    ----------
    columns : numpy.ndarray of int
        For each of `words` its column.
    log_prob : numpy.ndarray of float32
        log10, a row for each state met and a column for each distinct word.
    state : numpy.ndarray of int32
        The state behind that word.
    """

    def __init__(self, model: PackedNgram, words: Sequence[str]):
        self._model = model
        listed, self.columns = np.unique([model.index(word) for word in words],
                                         return_inverse=True)
        self._column = np.full(len(model), -1, np.int32)
        self._column[listed] = np.arange(len(listed))
        self._listed = listed
        # The state to back off to from each node met; pages that nobody touches take no memory.
        self._below = np.zeros(model.leaves, np.int32)
        self.log_prob = np.empty((4096, len(listed)), np.float32)
        self.state = np.empty(self.log_prob.shape, np.int32)
        self.clear()

    def clear(self) -> None:
        """Forget all rows; states stay what they are."""
        self._row = np.full(self._model.leaves, -1, np.int32)
        self._used = 1
        nodes = 1 + self._listed
        self.log_prob[0] = self._model.probs(nodes)
        self.state[0] = np.where(nodes < self._model.leaves, nodes, 0)
        self._row[0] = 0

    def __len__(self) -> int:
        return self._used

    def start(self, boundary: bool = True) -> int:
        """Return the state at the start of a sentence, or that of no context."""
        return self._model.start(boundary)[0]

    def of(self, states: np.ndarray) -> np.ndarray:
        """Return the rows of states, made where they are new.

        Parameters
        ----------
        states : numpy.ndarray of int
            `start`, or from the table `state`.
        """
        rows = self._row[states]
        if rows.size and rows.min() < 0:
            self._make(np.unique(states[rows < 0]))
            rows = self._row[states]
        return rows

    def _make(self, states: np.ndarray) -> None:
        model = self._model
        below = self.of(self._below[states])
        begin, self._used = self._used, self._used + len(states)
        while self._used > len(self.log_prob):
            self.log_prob = np.concatenate((self.log_prob, np.empty_like(self.log_prob)))
            self.state = np.concatenate((self.state, np.empty_like(self.state)))
        made = slice(begin, self._used)
        self._row[states] = np.arange(begin, self._used)
        # What is not listed after the state is scored after its suffix; what is, takes its place.
        self.log_prob[made] = self.log_prob[below]
        self.log_prob[made] += model.backoffs(states)[:, None]
        self.state[made] = self.state[below]
        first, counts = model.children(states)
        owner = np.repeat(np.arange(begin, self._used), counts)
        nodes = np.arange(len(owner)) + np.repeat(first - np.cumsum(counts) + counts, counts)
        column = self._column[model.words_of(nodes)]
        known = column >= 0
        owner, nodes, column = owner[known], nodes[known], column[known]
        self.log_prob[owner, column] = model.probs(nodes)
        inner = nodes < model.leaves
        owner, nodes, column = owner[inner], nodes[inner], column[inner]
        self._below[nodes] = self.state[owner, column]
        self.state[owner, column] = nodes
