"""Making denoising datasets: reading data sets with trained networks, in folds where needed."""

import dataclasses
import os

from lm.base.errors import ConfigError
from lm.denoising import (
    DenoisingPair,
    k_fold_indices,
    write_corpus,
    write_notebook_pairs,
    write_pairs,
)

from ..correction import build_pipeline
from ..decoding import build_decoder

__all__ = ["collect_pairs", "collect_split", "collect_folds", "write_corpus_of"]


def collect_pairs(recogniser, dataset, decoder, n_best=1, trained_on=None, fold=None,
                  cache=None, batch_size=16):
    """Read a data set and pair each truth with its reading.

    Parameters
    ----------
    recogniser : ocr.recognition.network.Recogniser
    dataset : LineDataset
    decoder : ocr.decoding.Decoder or ocr.correction.Pipeline
    n_best : int
        Alternatives kept with each pair, when over 1.
    trained_on : bool or None
        Whether the network was trained on these lines.
    fold : int, optional
    cache : str, optional
    batch_size : int

    Returns
    -------
    list of DenoisingPair
    """
    prepared = recogniser.prepare(dataset, cache)
    readings = decoder.decode(recogniser.logits(prepared, batch_size), n_best=n_best)
    pairs = []
    for sample, hypotheses in zip(prepared.dataset.samples, readings):
        alternatives = [(h.text, h.score) for h in hypotheses] if n_best > 1 else None
        pairs.append(DenoisingPair(
            id=sample.id, truth=sample.text, reading=hypotheses[0].text,
            confidence=hypotheses[0].confidence, n_best=alternatives, trained_on=trained_on,
            fold=fold, split=prepared.dataset.split))
    return pairs


def _write(output, split, pairs, header):
    os.makedirs(output, exist_ok=True)
    paths = [os.path.join(output, f"{split}.jsonl"), os.path.join(output, f"{split}.json")]
    write_pairs(paths[0], pairs, header)
    write_notebook_pairs(paths[1], pairs)
    return paths


def collect_split(recogniser, checkpoint, data, split, decoder, output, n_best=1, batch_size=16):
    """Pair the truths of one split with what one checkpoint reads there.

    Parameters
    ----------
    recogniser : ocr.recognition.network.Recogniser
    checkpoint : str
        Its file, named in the header.
    data : ocr.checkpoints.settings.DataConfig
    split : {"train", "validation", "test"}
        The header of "train" says that the network was trained on these lines.
    decoder : PipelineConfig
    output : str or None
        Folder to write them to.

    Returns
    -------
    pairs : list of DenoisingPair
    paths : list of str
        The files written.
    """
    from ..training.sources import open_split

    dataset = open_split(data, split)
    pairs = collect_pairs(recogniser, dataset, build_pipeline(decoder, recogniser.alphabet),
                          n_best, trained_on=split == "train", cache=data.cache,
                          batch_size=batch_size)
    header = {"data": dataset.name, "split": dataset.split,
              "checkpoint": os.path.basename(checkpoint), "decoder": decoder.name,
              "readings_of_training_lines": "in-sample" if split == "train" else "none",
              "skipped": dataset.report.counts()}
    return pairs, _write(output, split, pairs, header) if output else []


def collect_folds(config, folds, output, say=print, batch_size=16, seed=None):
    """Read every training line with a network that was not trained on it.

    Trains `folds` networks in ``output/fold-I`` (chosen on the experiment's validation
    split); one that is finished is taken as it is, one that was stopped is resumed.

    Parameters
    ----------
    config : ocr.checkpoints.settings.ExperimentConfig
    folds : int
    output : str
    say : callable
    batch_size : int
    seed : int, optional
        Of the division; the training seed by default.

    Returns
    -------
    list of str
        Paths written.
    """
    from ..recognition.network import Recogniser
    from ..training.sources import make_alphabet, open_split
    from ..training.trainer import Trainer

    dataset = open_split(config.data, "train")
    if len(dataset) < folds:
        raise ConfigError(f"{folds} folds of {len(dataset)} lines")
    # The alphabet comes from all lines: each fold must be able to write every character.
    alphabet = make_alphabet(config.alphabet, dataset)
    writers = [s.writer for s in dataset.samples]
    groups = writers if all(writers) and len(set(writers)) >= folds else None
    seed = config.training.seed if seed is None else seed
    pairs = [None] * len(dataset)
    for fold, held_out in enumerate(k_fold_indices(len(dataset), folds, groups, seed)):
        held_out = [int(i) for i in held_out]
        rest = sorted(set(range(len(dataset))) - set(held_out))
        run = dataclasses.replace(config, output=os.path.join(output, f"fold-{fold + 1}"))
        say(f"fold {fold + 1} of {folds}: {len(rest)} lines to train on, {len(held_out)} to read")
        trainer = Trainer(run, dataset.subset(rest), open_split(config.data, "validation"),
                          alphabet, os.path.exists(os.path.join(run.output, "last.ckpt")), say)
        trainer.run()
        recogniser = Recogniser(os.path.join(run.output, "best.ckpt"), config.training.device)
        part = dataset.subset(held_out)
        decoder = build_decoder("greedy", alphabet)
        read = {p.id: p for p in collect_pairs(recogniser, part, decoder, trained_on=False,
                                               fold=fold + 1, cache=config.data.cache,
                                               batch_size=batch_size)}
        for index in held_out:
            pairs[index] = read.get(dataset.samples[index].id)
    kept = [pair for pair in pairs if pair is not None]
    header = {"data": dataset.name, "split": dataset.split, "checkpoint": "fold-*/best.ckpt",
              "decoder": "greedy", "grouped_by_writer": groups is not None,
              "readings_of_training_lines": f"held-out (k-fold, k={folds})",
              "unreadable": len(pairs) - len(kept)}
    return _write(output, "train", kept, header)


def write_corpus_of(data, output):
    """Write the training transcripts, one a line, to ``output/text_train.txt``."""
    from ..training.sources import open_split

    path = os.path.join(output, "text_train.txt")
    os.makedirs(output, exist_ok=True)
    write_corpus(path, open_split(data, "train").texts())
    return path
