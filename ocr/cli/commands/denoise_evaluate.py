"""Error rates of readings before and after a denoiser.

Reports CER and WER (words split at spaces) of the readings in a file of pairs, as they are and
as the denoiser's best path corrects them.
"""

import dataclasses
import json


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="as ocr denoise-train writes it")
    parser.add_argument("pairs", metavar="JSONL", help="pairs of truth and reading")
    parser.add_argument("--device", default="cpu", help="auto, cpu (default), gpu, gpu:0")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments):
    from lm.denoising import read_pairs

    from ...correction.denoiser import Denoiser
    from ...text.metrics import TextMetric

    _, pairs = read_pairs(arguments.pairs)
    denoiser = Denoiser(arguments.checkpoint, arguments.device)
    readings = [pair.reading for pair in pairs]
    report = {}
    for name, texts in (("before", readings), ("after", denoiser.correct(readings))):
        metric = TextMetric()
        metric.update_many([pair.truth for pair in pairs], texts)
        report[name] = dataclasses.asdict(metric.summary())
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
        return
    print(f"{len(pairs):,} lines")
    for name, summary in report.items():
        rates = ", ".join(
            f"{rate.upper()} {100 * summary[rate]:.2f}%"
            + (" (95%: {:.2f}..{:.2f})".format(*(100 * v for v in summary[f"{rate}_interval"]))
               if summary[f"{rate}_interval"] else "") for rate in ("cer", "wer"))
        print(f"{name + ':':8}{rates}")
