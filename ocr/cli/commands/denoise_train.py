"""Train a denoiser: from what was read to what was written.

A small network learns from pairs of truth and reading (ocr denoise-data), then also from clean
text with the same errors. Writes best.ckpt and last.ckpt.
"""

import os

from lm.base.command import settings_of


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
    parser.add_argument("--resume", action="store_true", help="go on from last.ckpt")
    parser.takes(_settings)


def _settings():
    from ...correction.denoiser import DenoiserConfig

    return DenoiserConfig


def run(arguments):
    from ...denoising.training import train_denoiser

    config = settings_of(arguments, _settings())
    best = min(train_denoiser(config, arguments.resume),
               key=lambda entry: entry["validation_cer"])
    print(f"{os.path.join(config.output, 'best.ckpt')}: step {best['step']}, validation CER "
          f"{100 * best['validation_cer']:.2f}%")
