"""English sentences made up from a small grammar: the text of the synthetic lines.

The words of a class are drawn with Zipf's frequencies, so that a language model has something
to learn; surnames and places are put together from syllables, so that new text always holds
words it has not seen.
"""

import re

import numpy as np

__all__ = ["make_sentence", "make_words", "take_line", "wrap_words"]

# The first words of a class are its most frequent.
_WORDS = {
    "NOUN": """man house time day way place letter room door road hand window town garden table
        story night morning voice child woman friend river field village boy girl work word
        book question answer car train street church school office paper party minister
        government country world king queen doctor teacher driver farmer soldier captain sailor
        lawyer clerk baker painter writer singer player stranger neighbour brother sister
        father mother uncle aunt cousin daughter son wife husband family crowd committee
        meeting report speech plan law price market shop bank bridge station harbour ship boat
        island hill valley forest tree flower rose apple bread cheese kettle cup plate knife
        bottle glass lamp candle clock mirror picture chair bed kitchen stair roof wall gate
        fence path lane corner square park fountain museum theatre library castle tower palace
        prison hospital factory mine farm barn stable horse cow sheep dog cat bird duck goose
        fish fox rabbit coat hat shoe glove dress shirt pocket button ring purse basket parcel
        box key rope wheel engine hammer pencil pen page line chapter poem song dance concert
        holiday journey visit dinner supper breakfast summer winter spring autumn storm wind
        rain snow sun moon star cloud sea shore beach stone rock fire smoke dust shadow light
        colour sound noise silence dream idea thought reason doubt hope fear joy anger trouble
        secret promise mistake chance change choice habit custom rule order duty quarrel
        bargain debt penny shilling pound ticket newspaper telephone camera machine film
        article problem subject example experiment figure number list result system method""",
    "MASS": """water money tea coffee sugar milk butter flour paint ink paper wood iron coal
        silver gold grass hay wool cotton silk soap salt pepper fruit meat soup advice news
        trade music work patience courage help luck""",
    "PLURAL": """people men women children years hours days weeks months houses letters words
        friends books questions members workers prices fields roads windows eyes hands leaves
        trees flowers horses birds stories ships soldiers students tourists shops stones
        things minutes chairs candles neighbours visitors problems reports papers""",
    "ADJ": """old little good new great long small young large early late dark white black
        quiet strange narrow heavy cold warm bright happy poor rich green red blue grey brown
        yellow empty broken clean dirty soft hard sharp deep low high wide tall short thin
        thick fresh sweet bitter gentle clever foolish honest proud modest lazy busy tired
        angry brave careful careless simple difficult important famous public private secret
        political foreign modern ancient local distant near certain curious pleasant useful
        lonely silent noisy sudden gloomy cheerful golden wooden silver rough smooth""",
    "VPAST": """saw found took left brought made gave kept heard knew told held sold bought
        lost sent wrote read opened closed carried followed watched remembered forgot noticed
        painted mended cleaned admired wanted liked loved hated missed needed visited reached
        crossed passed entered described explained mentioned refused accepted ordered
        borrowed burned broke dropped lifted pushed pulled touched studied discovered hid""",
    "VINTR": """came went stood sat walked ran waited slept laughed smiled cried sang danced
        worked lived died arrived returned disappeared listened spoke talked whispered shouted
        stopped stayed travelled hurried wandered climbed fell rose hesitated nodded sighed""",
    "VBASE": """see find take leave bring make give keep hear know tell hold sell buy lose send
        write read open close carry follow watch remember forget notice paint mend clean
        admire want like love miss need visit reach cross pass enter describe explain mention
        refuse accept order borrow burn break drop lift push pull touch study discover hide""",
    "ADV": """slowly quickly quietly suddenly soon again often always never once later early
        perhaps certainly carefully gladly sadly loudly softly almost already seldom twice
        here there together alone today now then far away""",
    "PREP": "in on at near behind beside under over across beyond before after towards from",
    "DET": "the the the a the this his her their my our your that every another",
    "PLDET": "the the some many several few those these his her their our two three seven ten",
    "PRON": "he she they it we you I nobody everyone somebody",
    "OBJ": "him her them it us me you nothing everything",
    "CONJ": "and but and because when while although until since if as so",
    "SAID": "said asked answered cried replied added whispered thought",
    "FIRST": """John Mary George Anne William Jane Henry Alice Thomas Ellen Peter Ruth Robert
        Grace Edward Clara Arthur Rose Frank Emma Walter Nora Hugh Vera Paul Ida Martin Kate
        Oscar Lucy Victor Zoe Leonard Queenie Xavier Yvonne""",
    "TITLE": "Mr. Mrs. Miss Dr. Sir Lord Lady Captain Professor",
    "MONTH": """January February March April May June July August September October November
        December""",
    "WEEKDAY": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "CITY": """London Paris Rome Berlin York Oxford Vienna Geneva Dublin Cairo Bombay Quebec
        Zurich Lisbon Madrid Athens Moscow Kent Sussex Essex Wales France Italy Africa""",
    "NUM": """two three four five six seven eight nine ten twelve fifteen twenty thirty fifty
        hundred""",
    "COMPOUND": """well-known half-open old-fashioned good-natured so-called far-off
        cold-blooded short-lived twenty-first self-made""",
}

_START = """Ash Black Brad Clay Dun Ed Far Graf Har Hol Jar Kings Lang Mar Nor Old Pem Quin
    Red Stan Thorn Under Vin Wal West Whit""".split()
_END = "ford ley ton wood field worth by ham stone bury well low more dale".split()

# (weight, template); {X} is replaced by an expansion of X.
_RULES: dict[str, list[tuple[float, str]]] = {
    "S": [
        (9, "{NP} {VP}."), (5, "{NP} {VP} {PP}."), (3, "{PP} {NP} {VP}."),
        (5, "{PRON} {PVP}, {CONJ} {NP} {VP}."), (3, "{ADV}, {PRON} {PVP}."),
        (3, "{NP} {VP} {CONJ} {PRON} {PVP}."), (2, '"{CL}," {SAID} {NAME}.'),
        (2, '"{Q}?" {SAID} {PRON}.'), (1.5, "{Q}?"), (1, "What a {ADJ} {NOUN} it was!"),
        (1, "{CL}; {CL}."), (1, "There was {MASS} and {MASS} for {PLNP}: {CL}."),
        (1.5, "In {YEAR} {NAME} {VPAST} {NP}."), (1.2, "On {WEEKDAY}, {DATE}, {CL}."),
        (1, "{NP} (or {NP}) {VP}."), (1, "It was {CLOCK} when {CL}."),
        (1, "The {NOUN} cost {NUMBER} {COIN}, {CONJ} {CL}."),
        (1.2, "It isn't {ADJ} to {VBASE} {NP}."), (1, "{NAME} didn't {VBASE} {NP} {PP}."),
        (.4, "See No. {NUMBER} & No. {NUMBER} {PP}."), (.3, "Room #{NUMBER} was {ADJ}."),
        (.8, "{NAME}'s {NOUN} was {COMPOUND}, {CONJ} {CL}."),
        (3, "{PLNP} {VINTR} {PP}."), (2, "{PRON} {VPAST} {PLNP}."),
        (.3, "The {NOUN} was {NUMBER}/{NUMBER} {MASS}."),
    ],
    "CL": [(3, "{NP} {VP}"), (3, "{PRON} {PVP}"), (1, "it was {ADJ}"),
           (1, "I don't {VBASE} {NP}"), (1, "we must {VBASE} {NP}")],
    "Q": [(2, "Did you {VBASE} {NP}"), (1, "Where is {NP}"), (1, "Who {VPAST} {NP}"),
          (1, "Can't {PRON} {VBASE} {NP}"), (1, "Why was {NP} so {ADJ}")],
    "NP": [(6, "{DET} {NOUN}"), (5, "{DET} {ADJ} {NOUN}"), (2, "{DET} {NOUN} of {NP}"),
           (2, "{NAME}"), (1, "{DET} {NOUN} {PREP} {CITY}"),
           (.5, "{DET} {COMPOUND} {NOUN}"), (.8, "the {ADJ} {MASS}")],
    "PLNP": [(2, "{PLDET} {PLURAL}"), (1, "{PLDET} {ADJ} {PLURAL}")],
    "VP": [(6, "{VPAST} {NP}"), (3, "{VINTR} {PP}"), (2, "{VINTR} {ADV}"), (1, "was {ADJ}"),
           (1, "would not {VBASE} {NP}"), (1, "had {NUM} {PLURAL}"), (1, "was very {ADJ}")],
    "PVP": [(5, "{VPAST} {NP}"), (3, "{VINTR} {PP}"), (2, "{VPAST} {OBJ}"),
            (1, "could {VBASE} {OBJ} {ADV}"), (1, "had to {VBASE} {NP}")],
    "PP": [(5, "{PREP} {NP}"), (1, "in {CITY}"), (1, "at {PLACE}"), (1, "with {NAME}")],
    "NAME": [(3, "{FIRST}"), (3, "{TITLE} {PLACE}"), (1, "{FIRST} {PLACE}")],
    "COIN": [(1, "pounds"), (1, "shillings"), (1, "pence")],
    "DATE": [(1, "{DAY} {MONTH}"), (1, "{MONTH} {DAY}")],
}


def _table(weights):
    cumulative = np.cumsum(np.asarray(weights, dtype=float))
    return cumulative / cumulative[-1]


_RULE_TABLES = {name: (_table([weight for weight, _ in rules]), [text for _, text in rules])
                for name, rules in _RULES.items()}
_WORD_TABLES = {name: (_table([1 / (rank + 3) for rank in range(len(words.split()))]),
                       words.split()) for name, words in _WORDS.items()}
_SLOT = re.compile(r"\{([A-Z]+)\}")


def _pick(table, rng):
    cumulative, entries = table
    return entries[int(np.searchsorted(cumulative, rng.random(), side="right"))]


def _expand(symbol, rng):
    if symbol in _RULE_TABLES:
        template = _pick(_RULE_TABLES[symbol], rng)
        return _SLOT.sub(lambda slot: _expand(slot.group(1), rng), template)
    if symbol in _WORD_TABLES:
        return _pick(_WORD_TABLES[symbol], rng)
    if symbol == "PLACE":
        return _START[rng.integers(len(_START))] + _END[rng.integers(len(_END))]
    if symbol == "YEAR":
        return str(rng.integers(1780, 1970))
    if symbol == "DAY":
        return str(rng.integers(1, 29))
    if symbol == "NUMBER":
        return str(rng.integers(2, 1000))
    if symbol == "CLOCK":
        return f"{rng.integers(1, 13)}.{rng.integers(0, 60):02d}"
    raise KeyError(symbol)


def make_sentence(rng):
    """Return one made-up sentence; `rng` is a `numpy.random.Generator`."""
    text = _expand("S", rng)
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    # The first letter, which a quotation mark may precede.
    return re.sub(r"[A-Za-z]", lambda first: first.group().upper(), text, count=1)


def make_words(rng, count):
    """Return the words of as many sentences as it takes to reach `count` words."""
    words = []
    while len(words) < count:
        words.extend(make_sentence(rng).split())
    return words


def take_line(words, longest):
    """Return how many of `words` fit on a line of `longest` characters; at least one."""
    length = -1
    for count, word in enumerate(words):
        length += 1 + len(word)
        if length > longest:
            return max(count, 1)
    return len(words)


def wrap_words(words, rng, shortest=3, longest=9, characters=55):
    """Cut a list of words into lines of random length.

    Parameters
    ----------
    words : list of str
    rng : numpy.random.Generator
    shortest, longest : int
        Words a line; fewer where the line is full and at the end.
    characters : int
        Longest line, unless a single word is longer.

    Returns
    -------
    list of str
    """
    lines, start = [], 0
    while start < len(words):
        count = int(rng.integers(shortest, longest + 1))
        count = take_line(words[start:start + count], characters)
        lines.append(" ".join(words[start:start + count]))
        start += count
    return lines
