"""Write the lines of an experiment into one HDF5 file.

Read it with: data.source=hdf5 data.options.path=FILE. Until the file is whole it lies beside
it under another name; after a stop --resume goes on with that. Data can be named without a
configuration file: ocr pack iam.hdf5 data.source=iam data.options.root=FOLDER.
"""

import re

from lm.base.errors import ConfigError

from ..common import add_config, named_data, positive, say

SPLITS = ("train", "validation", "test")


def add_arguments(parser):
    parser.add_argument("file", help="HDF5 file to write")
    add_config(parser)
    parser.add_argument("--splits", default=",".join(SPLITS), metavar="A,B",
                        help="of train, validation, test (default: all)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--height", type=positive, metavar="N",
                      help="store lines wholly prepared, of this height (default: as they are)")
    size.add_argument("--size", metavar="WxH", help="the same, in a box such as 1024x128")
    parser.add_argument("--illumination", action="store_true",
                        help="store lines on evenly bright paper (preprocess.cleaning=even)")
    parser.add_argument("--deslant", action="store_true",
                        help="store lines with upright letters (preprocess.deslant=true)")
    parser.add_argument("--compression", default="none", choices=("none", "lzf", "gzip"),
                        help="none (default) is read four times as fast as lzf, which h5py alone "
                             "knows; gzip is smallest and slowest")
    parser.add_argument("--layout", default="packed", choices=("packed", "flor"),
                        help="flor: groups train, valid, test with dt and gt, as Flor's system "
                             "reads them; needs --size (default: packed)")
    parser.add_argument("--resume", action="store_true", help="go on with a stopped run")


def run(arguments):
    import dataclasses

    from ...data.overlap import warn_of_shared_lines
    from ...data.packing import pack_lines
    from ...training.sources import make_alphabet, open_split

    splits = arguments.splits.split(",")
    for split in splits:
        if split not in SPLITS:
            raise ConfigError(f"unknown split {split!r}; known: {', '.join(SPLITS)}")
    config = named_data(arguments)
    settings = _settings(arguments, config.preprocess)
    if settings.done and settings.preprocess != config.preprocess and settings.layout == "packed":
        say("to train on this file, set " + " ".join(
            f"preprocess.{name}={value}" for name, value in settings.shaping().items()
            if getattr(config.preprocess, name) != value))
    datasets = {split: open_split(config.data, split) for split in dict.fromkeys(splits)}
    training = datasets.get("train")
    if training is None and config.alphabet == "data":
        training = open_split(config.data, "train")
    for split, dataset in datasets.items():
        if len(dataset.report):
            say(f"{split}: {dataset.report}")
    warn_of_shared_lines(datasets)
    packed = pack_lines(arguments.file, datasets, make_alphabet(config.alphabet, training),
                        settings, dataclasses.asdict(config.data), arguments.resume, say)
    print(f"{arguments.file}: {packed}")


def _settings(arguments, preprocess):
    """Return the `PackSettings`: options of the command go before those of the experiment."""
    import dataclasses

    from ...data.packing import PackSettings

    done, changes = "", {}
    if arguments.illumination or arguments.deslant:
        done = "cleaned"
    if arguments.illumination:
        changes["cleaning"] = "even"
    if arguments.deslant:
        changes["deslant"] = True
    if arguments.size or arguments.height:
        done = "scaled"
        changes["width"], changes["height"] = (_box(arguments.size) if arguments.size
                                               else (None, arguments.height))
    return PackSettings(done, dataclasses.replace(preprocess, **changes), arguments.compression,
                        arguments.layout)


def _box(text):
    """Return (width, height) of ``WxH``."""
    found = re.fullmatch("([0-9]{1,5})[xX]([0-9]{1,5})", text)
    if not found:
        raise ConfigError(f"--size is {text!r}; expected WxH, such as 1024x128")
    return int(found[1]), int(found[2])
