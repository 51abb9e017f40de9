"""A model of plain dictionaries, for checking what is quicker."""

from lm.arpa import read_entries


class ArpaModel:
    """`ngrams`: for each order, text of the n-gram to (log10 probability, log10 back-off)."""

    def __init__(self, ngrams):
        self.ngrams = ngrams

    @property
    def order(self):
        return len(self.ngrams)

    def log_prob(self, context, word):
        """Return log10 p(word | context) by backing off."""
        return self._lookup(context, word)[0]

    def _lookup(self, context, word):
        if word not in self.ngrams[0]:
            word = "<unk>"
        context = [w if w in self.ngrams[0] else "<unk>" for w in context]
        context = context[max(0, len(context) - self.order + 1):]
        total = 0.0
        while True:
            entry = self.ngrams[len(context)].get(" ".join([*context, word]))
            if entry is not None:
                return total + entry[0], len(context) + 1
            if not context:
                return -100.0, 0
            total += self.ngrams[len(context) - 1].get(" ".join(context), (0.0, 0.0))[1]
            context = context[1:]

    def full_scores(self, sentence, bos=True, eos=True):
        """Yield (log10 probability, n-gram length, unknown) as ``kenlm.Model`` does."""
        context = ["<s>"] if bos else []
        for word in [*sentence.split(), *(["</s>"] if eos else [])]:
            prob, length = self._lookup(context, word)
            yield prob, length, word not in self.ngrams[0]
            context.append(word)


def read_arpa(path):
    """Read an ARPA file."""
    return ArpaModel([{text: tuple(figures) for text, *figures in entries}
                      for entries in read_entries(path)])
