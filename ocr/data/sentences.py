"""Made-up English sentences with a skewed word distribution, for synthetic lines."""

import re

import numpy as np

__all__ = ["make_sentence", "make_text"]


def _w(text):
    return text.split()


#: Within a group the first words are the most frequent.
_WORDS = {
    "noun": _w(
        "man house letter river town morning garden doctor road market teacher window story "
        "captain village winter table horse friend church school farmer picture island bridge "
        "soldier station forest kitchen harbour sister brother mother father child neighbour "
        "evening summer autumn spring mountain valley field boat ship engine train carriage "
        "street corner office paper book page lesson question answer reason journey ticket "
        "visitor painter writer singer baker builder sailor fisher hunter miner clerk judge "
        "lawyer nurse queen king prince minister council meeting speech song music dance game "
        "party dinner breakfast supper bread cheese butter apple orange cherry basket bottle "
        "glass candle lamp fire smoke cloud storm wind rain snow frost shadow light colour "
        "number price penny shilling pound shop door gate wall roof floor stair room chair bed "
        "blanket pillow mirror clock watch bell hammer ladder rope chain wheel wagon saddle "
        "stone sand shore wave tide lake pond stream spring well meadow hedge orchard tree leaf "
        "flower rose daisy grass wheat barley corn harvest sheep cattle goat dog cat bird crow "
        "swallow eagle fox wolf bear mouse rabbit fish trout salmon whale"),
    "plural": _w(
        "people children years days men women letters houses books words friends hours roads "
        "fields horses ships stories questions windows trees stones miles streets soldiers "
        "visitors songs rooms lessons colours clouds birds leaves flowers apples candles "
        "neighbours brothers sisters farmers sailors mountains rivers islands villages"),
    "verb": _w(
        "saw took found left made gave heard knew kept held brought watched followed opened "
        "closed carried painted counted crossed reached passed visited remembered forgot loved "
        "wanted needed missed sold bought built broke mended washed cleaned covered gathered "
        "hid showed drew wrote read sent taught caught chased fed led moved pulled pushed"),
    "still": _w(
        "waited slept laughed came went stood sat spoke stayed walked worked rested smiled "
        "listened sang wept fell rose returned travelled wandered hurried vanished agreed "
        "refused arrived"),
    "adjective": _w(
        "old small great young long little white dark quiet cold good new black red green warm "
        "narrow broken heavy gentle strange empty bright simple busy famous distant careful "
        "clever hungry lonely honest proud tired wooden golden silver silent pleasant ancient "
        "bitter curious faithful foolish generous humble modest patient restless solemn stubborn "
        "tender timid weary"),
    "adverb": _w(
        "slowly often never always soon again quietly suddenly once perhaps almost gently "
        "quickly seldom already together carefully early late far away indeed hardly"),
    "place": _w(
        "London Bristol Dover Oxford Wales Scotland Cornwall York Leeds Ireland Paris Venice "
        "Vienna Lisbon Norway Egypt"),
    "name": _w(
        "Mary John Thomas Anne William Alice George Henry Margaret Edward Robert Helen Arthur "
        "Emma Charles Ruth Walter Clara Simon Agnes"),
    "title": _w("Mr. Mrs. Dr. Captain Miss Lord Lady Sir"),
    "month": _w("January February March April May June July August September October November "
                "December"),
    "joint": _w("and but because when while until before after although so"),
    "preposition": _w("in on near behind under beyond beside above across along from towards"),
}

_PATTERNS = (
    "the {adjective} {noun} {verb} the {noun} .",
    "{name} {verb} a {adjective} {noun} {preposition} the {noun} .",
    "in the {noun} there was a {adjective} {noun} .",
    "the {noun} {still} {preposition} the {noun} , {joint} the {plural} {still} .",
    "{title} {surname} {verb} the {noun} {adverb} .",
    "\" I {verb} it {adverb} , \" said {name} .",
    "it was {adverb} a {adjective} {noun} , and {name} {still} .",
    "on {day} {month} {year} the {noun} {verb} {number} {plural} .",
    "{number} {plural} {still} {preposition} the {adjective} {noun} .",
    "they {verb} the {noun} of {place} {joint} the {noun} {still} .",
    "we {adverb} {verb} the {adjective} {plural} of {place} .",
    "when the {noun} {still} , {name} {verb} the {noun} .",
    "{name} and {name} {verb} the {plural} for {number} years .",
    "why was the {noun} so {adjective} ?",
    "there is no {noun} without a {noun} ; the {noun} is {adjective} .",
    "he {verb} her {noun} , she {verb} his {noun} .",
    "nobody {verb} the {noun} : it was too {adjective} .",
    "from {place} to {place} the {noun} {still} {adverb} .",
    "the {noun} of {title} {surname} was {adjective} and {adjective} !",
    "all the {plural} {preposition} the {noun} {still} {adverb} .",
)

_SYLLABLES = _w("bar dun hal mar ros win ton ley ford wick den ham ker sel tor ver lan mor gil pen "
                "ash cob dray fen hol lock nor stan thorn wey")


def _pick(group, rng):
    words = _WORDS[group]
    # A Zipf-like tail: rare words occur, so that no model has seen them all.
    weights = 1 / np.arange(3, len(words) + 3) ** 0.9
    return words[rng.choice(len(words), p=weights / weights.sum())]


def _fill(slot, rng):
    if slot == "surname":
        return "".join(_SYLLABLES[i] for i in rng.integers(len(_SYLLABLES), size=2)).capitalize()
    if slot == "year":
        return str(rng.integers(1700, 1960))
    if slot == "day":
        return str(rng.integers(1, 31))
    if slot == "number":
        words = _w("two three four five six seven ten twelve twenty")
        return words[rng.integers(len(words))] if rng.random() < 0.7 else str(
            rng.integers(11, 400))
    return _pick(slot, rng)


def make_sentence(rng):
    """Return one sentence, drawn with the NumPy generator `rng`."""
    words = []
    for token in _PATTERNS[rng.integers(len(_PATTERNS))].split():
        words.append(_fill(token[1:-1], rng) if token.startswith("{") else token)
    text, opened = "", False
    for word in words:
        glued = word in ".,;:?!" or (word == "\"" and opened) or text.endswith(" \"") \
            or text == "\""
        text += word if glued or not text else " " + word
        if word == "\"":
            opened = not opened
    start = 1 if text.startswith("\"") else 0
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return text[:start] + text[start].upper() + text[start + 1:]


def make_text(rng, words):
    """Return sentences of at least `words` words together, separated by spaces."""
    sentences, count = [], 0
    while count < words:
        sentences.append(make_sentence(rng))
        count += len(sentences[-1].split())
    return " ".join(sentences)
