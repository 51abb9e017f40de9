"""Train a denoiser: from what was read to what was written.

A small network learns from pairs of truth and reading (ocr denoise-data), then also from clean
text with the same errors. Writes best.ckpt and last.ckpt; --config FILE holds all settings
(`ocr.correction.denoiser.DenoiserConfig`), the command line goes before.
"""

import os

from lm.base.errors import ConfigError
from lm.base.settings import from_mapping, read_yaml


def add_arguments(parser):
    parser.add_argument("--pairs", nargs="+", metavar="JSONL", help="to train on")
    parser.add_argument("--validation", nargs="+", metavar="JSONL", dest="validation_pairs",
                        help="to choose the best weights on")
    parser.add_argument("--corpus", nargs="+", metavar="FILE",
                        help="clean text to noise (default: the pairs' truths)")
    parser.add_argument("--output", metavar="DIR", help="folder of checkpoints")
    parser.add_argument("--real-steps", type=int, metavar="N",
                        help="steps on real pairs alone (default 2000)")
    parser.add_argument("--mixed-steps", type=int, metavar="N",
                        help="steps on real pairs and noised text (default 6000)")
    parser.add_argument("--minutes", type=float, metavar="M",
                        help="shorten both to fit (default: no limit)")
    parser.add_argument("--seed", type=int, metavar="N", help="default 1")
    parser.add_argument("--device", help="auto, cpu (default), gpu, gpu:0")
    parser.add_argument("--config", metavar="YAML", help="file of settings, with _ for -")
    parser.add_argument("--resume", action="store_true", help="go on from last.ckpt")


def run(arguments):
    from ...correction.denoiser import DenoiserConfig
    from ...denoising.training import train_denoiser

    given = {name: value for name, value in vars(arguments).items() if value is not None
             and name not in ("command", "run", "config", "resume")}
    settings = {**(read_yaml(arguments.config) if arguments.config else {}), **given}
    for name in ("pairs", "validation_pairs", "corpus"):
        if isinstance(settings.get(name), str):
            settings[name] = [settings[name]]
    for name, how in (("pairs", "--pairs JSONL"), ("validation_pairs", "--validation JSONL"),
                      ("output", "--output DIR")):
        if not settings.get(name):
            raise ConfigError(f"denoise-train needs {how}")
    config = from_mapping(DenoiserConfig, settings)
    best = min(train_denoiser(config, arguments.resume),
               key=lambda entry: entry["validation_cer"])
    print(f"{os.path.join(config.output, 'best.ckpt')}: step {best['step']}, validation CER "
          f"{100 * best['validation_cer']:.2f}%")
