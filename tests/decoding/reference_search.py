"""The search of beam-char in plain dictionaries, a line at a time: slow, and plain to read."""

import math

import numpy as np

from lm.wordforms import fold, is_word_character

NEVER = -math.inf


class Reference:
    """Prefixes are strings; each is scored whole, by models of plain dictionaries."""

    def __init__(self, config, alphabet, characters, words):
        self.config, self.alphabet = config, alphabet
        self.characters, self.words = characters, words
        self.known = {}

    def language(self, text, whole):
        """Score a prefix; `whole`: as a line that ends here."""
        if (text, whole) not in self.known:
            self.known[text, whole] = self._language(text, whole)
        return self.known[text, whole]

    def _language(self, text, whole):
        config, natural = self.config, math.log(10)
        total = config.beta * len(text)
        boundary = config.lm_score_boundary
        if self.characters:
            tokens = " ".join("\u2581" if c == " " else c for c in text)
            scores = self.characters.full_scores(tokens, boundary, boundary and whole)
            total += config.alpha * natural * sum(s[0] for s in scores)
        runs, current = [], ""
        for character in text:
            if is_word_character(character):
                current += character
            elif current:
                runs.append(current)
                current = ""
        if current and whole:
            runs.append(current)
        if self.words:
            forms = " ".join(map(fold, runs))
            for log_prob, _, unknown in self.words.full_scores(forms, boundary, False):
                offset = config.unk_score_offset if unknown else 0.0
                total += config.word_alpha * (natural * log_prob + offset)
        return total + config.hotword_weight * sum(run in config.hotwords for run in runs)

    def read(self, scores):
        """Return {text: (network's score, language models' score)} of (T, C) log-softmax."""
        config, blank = self.config, self.alphabet.blank
        beams = {"": (0.0, NEVER)}
        for row in scores.astype(float):
            tried = np.flatnonzero(row > config.token_min_logp)
            tried = tried.tolist() if len(tried) else [int(row.argmax())]
            found = {}
            bonus = max(config.beta, 0) + max(config.hotword_weight, 0) * bool(config.hotwords)
            # The best prefix that stays, less the pruning: none stays where a blank is not tried.
            floor = config.beam_prune_logp + row[blank] + max(
                np.logaddexp(*ends) + self.language(text, False) for text, ends in beams.items()
            ) if blank in tried else NEVER

            def add(text, in_blank, in_label, found=found):
                old = found.get(text, (NEVER, NEVER))
                found[text] = np.logaddexp(old[0], in_blank), np.logaddexp(old[1], in_label)

            for text, (in_blank, in_label) in beams.items():
                total = np.logaddexp(in_blank, in_label)
                most = total + self.language(text, False) + bonus
                for label in tried:
                    if label == blank:
                        add(text, total + row[blank], NEVER)
                        continue
                    character = self.alphabet.characters[label]
                    same = text.endswith(character)
                    if same:
                        add(text, NEVER, in_label + row[label])
                    if (character != " " or text and not same) and most + row[label] >= floor:
                        add(text + character, NEVER, (in_blank if same else total) + row[label])
            found = {text: ends for text, ends in found.items() if max(ends) > NEVER}
            if not found:  # such as a space alone at the start
                found = {text: (np.logaddexp(*ends) + row[blank], NEVER)
                         for text, ends in beams.items()}
            ranked = sorted(((np.logaddexp(*ends) + self.language(text, False), text)
                             for text, ends in found.items()), reverse=True)
            beams = {text: found[text] for score, text in ranked[:config.beam_width]
                     if score >= ranked[0][0] + config.beam_prune_logp}
        readings = {}
        for text, ends in beams.items():
            text, logit = text[:-1] if text.endswith(" ") else text, np.logaddexp(*ends)
            before = readings.get(text, (NEVER, 0.0))[0]
            readings[text] = np.logaddexp(before, logit), self.language(text, True)
        return readings
