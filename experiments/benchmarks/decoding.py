"""Decoders and correctors on the same stored logits: CER, WER and lines per second, one table.

    python experiments/benchmarks/decoding.py --checkpoint runs/copiste/best.ckpt \\
        --words NAME [--characters NAME] [--wordforms NAME] [--pipeline FILE ...]

Our own decoders run at several beam widths, with the weights tuned for the checkpoint where
there are some; tuned chains (--pipeline, or beside the checkpoint) run as tuned; beside them
whichever of these peers is installed, on the same logits in the same run: pyctcdecode at its
defaults (alone, and with its own process pool), ctc-beam-decoder, flashlight-text and
fast-ctc-decode. Times are of decoding alone, network excluded; language models are loaded before
the clock starts. Logits are kept beside the checkpoint.
"""

import argparse
import multiprocessing
import os
import time

import numpy as np

from lm import SPACE_TOKEN, load_ngram
from lm.base.files import atomic_path
from lm.base.settings import apply_overrides, from_mapping, to_mapping
from ocr.checkpoints.settings import ExperimentConfig
from ocr.correction import build_pipeline, load_pipeline
from ocr.decoding import build_decoder, decoder_stage
from ocr.recognition.network import Recogniser
from ocr.recognition.tuned import tuned_names, tuned_path
from ocr.text.ctc import log_softmax
from ocr.text.metrics import TextMetric
from ocr.training.sources import open_split

WIDTHS = (8, 16, 32, 64, 100)


def stored_logits(arguments):
    """Return (logits, texts, alphabet), from the file beside the checkpoint where it is newer."""
    recogniser = Recogniser(arguments.checkpoint, "cpu")
    config = from_mapping(ExperimentConfig, apply_overrides(
        to_mapping(recogniser.config), arguments.overrides))
    prepared = recogniser.prepare(open_split(config.data, arguments.split), config.data.cache)
    path = f"{arguments.checkpoint}.{arguments.split}.logits.npz"
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(arguments.checkpoint):
        logits = recogniser.logits(prepared)
        with atomic_path(path) as temporary, open(temporary, "wb") as out:
            np.savez(out, *logits)
    with np.load(path) as stored:
        logits = [stored[f"arr_{i}"] for i in range(len(stored.files))]
    return logits, prepared.dataset.texts(), recogniser.alphabet


class Table:
    """Rows of systems; each is called with all logits and returns texts."""

    def __init__(self, logits, texts, rounds):
        self.logits, self.texts, self.rounds = logits, texts, rounds
        print(f"{'system':44}  CER %  WER %  lines/s", flush=True)

    def row(self, name, decode, once=False):
        seconds = []
        for _ in range(1 if once else self.rounds):
            began = time.perf_counter()
            readings = decode(self.logits)
            seconds.append(time.perf_counter() - began)
        metric = TextMetric()
        metric.update_many(self.texts, [" ".join(text.split()) for text in readings])
        score = metric.summary()
        print(f"{name:44}  {100 * score.cer:5.2f}  {100 * score.wer:5.2f}  "
              f"{len(self.texts) / min(seconds):7.1f}", flush=True)

    def try_row(self, name, build):
        """Add a peer's row, or say why there is none."""
        try:
            decode = build()
        except ImportError as error:
            print(f"{name:44}  not installed ({error})", flush=True)
            return
        self.row(name, decode)


def own(config, alphabet):
    decoder = build_decoder(config, alphabet)
    return lambda logits: [line[0].text for line in decoder.decode(logits)]


def pyctcdecode(alphabet, words, pooled=False):
    """pyctcdecode, everything at its defaults; its labels are the alphabet's and "" last."""
    from pyctcdecode import build_ctcdecoder

    options = {}
    if words:
        model = load_ngram(words)
        options = {"kenlm_model_path": model.kenlm_path, "unigrams": list(model.unigrams)}
    decoder = build_ctcdecoder([*alphabet.characters, ""], **options)
    if not pooled:
        return lambda logits: [decoder.decode(line) for line in logits]

    def decode(logits):
        with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
            return decoder.decode_batch(pool, logits)
    return decode


def ctc_beam_decoder(alphabet, words):
    from ctc_beam_decoder import build_ctcdecoder

    options = {}
    if words:
        model = load_ngram(words)
        options = {"kenlm_model_path": model.kenlm_path, "unigrams": list(model.unigrams)}
    decoder = build_ctcdecoder([*alphabet.characters, ""], **options)
    return lambda logits: [decoder.decode(log_softmax(line)) for line in logits]


def flashlight(alphabet, characters, weight, beta, width):
    """flashlight-text's lexicon-free search with a KenLM model of characters."""
    from flashlight.lib.text.decoder import (
        CriterionType,
        LexiconFreeDecoder,
        LexiconFreeDecoderOptions,
    )
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    tokens = [SPACE_TOKEN if c == " " else c for c in alphabet.characters]
    dictionary = Dictionary([*tokens, "<blank>"])
    options = LexiconFreeDecoderOptions(
        beam_size=width, beam_size_token=20, beam_threshold=25.0, lm_weight=weight,
        sil_score=beta, log_add=True, criterion_type=CriterionType.CTC)
    space = alphabet.encode(" ")[0] if " " in alphabet else -1
    model = KenLM(load_ngram(characters).kenlm_path, dictionary)
    decoder = LexiconFreeDecoder(options, model, space, alphabet.blank, [])

    def decode(logits):
        texts = []
        for line in logits:
            scores = np.ascontiguousarray(log_softmax(line))
            best = decoder.decode(scores.ctypes.data, *scores.shape)[0].tokens
            label = [c for c, last in zip(best, [-1, *best]) if c != last and c >= 0]
            texts.append(alphabet.decode([c for c in label if c < alphabet.blank]))
        return texts
    return decode


def fast_ctc_decode(alphabet, width):
    from fast_ctc_decode import beam_search

    # Blank first; it knows no language model.
    labels = ["\0", *alphabet.characters]

    def decode(logits):
        texts = []
        for line in logits:
            scores = np.exp(log_softmax(line))
            scores = np.ascontiguousarray(np.roll(scores, 1, axis=1), np.float32)
            texts.append(beam_search(scores, labels, beam_size=width,
                                     beam_cut_threshold=0.001)[0])
        return texts
    return decode


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--split", default="validation", choices=("validation", "test"))
    parser.add_argument("--words", help="word n-gram")
    parser.add_argument("--characters", help="character n-gram")
    parser.add_argument("--wordforms", help="word-form n-gram")
    parser.add_argument("--pipeline", action="append", default=[], metavar="FILE",
                        help="a tuned chain (ocr tune --output)")
    parser.add_argument("--rounds", type=int, default=2, help="the fastest counts")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    logits, texts, alphabet = stored_logits(arguments)
    print(f"{len(texts)} lines, split {arguments.split}, {os.cpu_count()} cores")
    table = Table(logits, texts, arguments.rounds)
    table.row("greedy", own("greedy", alphabet))
    tuned = {name: load_pipeline(tuned_path(arguments.checkpoint, name))
             for name in tuned_names(arguments.checkpoint)}
    chains = {f"{name}, tuned": config for name, config in tuned.items()}
    chains.update((os.path.splitext(os.path.basename(path))[0], load_pipeline(path))
                  for path in arguments.pipeline)
    for name, config in chains.items():
        pipeline = build_pipeline(config, alphabet)
        # Correctors remember what they saw: a second round would be faster than any first.
        table.row(name, lambda lines, p=pipeline: [line[0].text for line in p.decode(lines)],
                  once=bool(config.correctors))
    models = {"beam": {}}
    if arguments.words:
        models["beam-lm"] = {"lm": arguments.words}
    if arguments.characters:
        models["beam-char"] = {"lm": arguments.characters, "words": arguments.wordforms,
                               **({} if "beam-char" in tuned else {"alpha": 0.7})}
    for width in WIDTHS:
        for name, options in models.items():
            config = tuned[name].decoder if name in tuned else name
            config = decoder_stage(config, **options, beam_width=width)
            what = ", tuned weights" if name in tuned else ""
            table.row(f"{name}{what}, width {width}", own(config, alphabet))
    print("peers, one process unless said:")
    for words in dict.fromkeys((None, arguments.words)):
        model = " + word n-gram" if words else ""
        table.try_row(f"pyctcdecode defaults{model}", lambda w=words: pyctcdecode(alphabet, w))
        table.try_row(f"pyctcdecode defaults{model}, pool",
                      lambda w=words: pyctcdecode(alphabet, w, pooled=True))
        table.try_row(f"ctc-beam-decoder defaults{model}",
                      lambda w=words: ctc_beam_decoder(alphabet, w))
    for width in (16, 100):
        table.try_row(f"fast-ctc-decode, width {width}",
                      lambda w=width: fast_ctc_decode(alphabet, w))
        if arguments.characters:
            table.try_row(f"flashlight-text + character n-gram, width {width}",
                          lambda w=width: flashlight(alphabet, arguments.characters, 0.7, 0.0, w))


if __name__ == "__main__":
    main()
