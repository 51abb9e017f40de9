"""Print the text of generated.txt: sentences of an invented vocabulary, drawn by a fixed rule."""

import random

draw = random.Random(5)
words = [first + last for first in "ka lo mi nu re so ta vu we yo".split()
         for last in "ba de fi go hu ja ke li mo ne pa ro".split()]
weights = [1 / (rank + 1) ** 1.1 for rank in range(len(words))]
previous = 0
for _ in range(400):
    sentence = []
    for _ in range(1 + int(6 * draw.random())):
        pick = draw.choices(range(len(words)), weights)[0]
        # Half of the words follow from the one before, so that longer n-grams repeat.
        previous = (previous * 7 + pick % 3) % 40 if draw.random() < 0.5 else pick
        sentence.append(words[previous])
    print(" ".join(sentence))
