"""Tuning a decoder for a model on its validation lines, and keeping the outcome with the model."""

import dataclasses
from dataclasses import dataclass
from typing import Optional

from ..checkpoints.settings import DataConfig
from ..correction import PipelineConfig
from ..correction.tuning import TuneResult, tune
from ..recognition.tuned import save_tuned, stored_in
from ..training.sources import open_split
from .run import calibrate

__all__ = ["Tuned", "tune_model"]


@dataclass(frozen=True)
class Tuned:
    """What was chosen for a model.

    Attributes
    ----------
    config : PipelineConfig
        With calibrated confidences.
    path : str
        The file that it is stored in.
    result : TuneResult
    lines : str
        Which lines it was tuned on, for messages.
    """

    config: PipelineConfig
    path: str
    result: TuneResult
    lines: str


def tune_model(recogniser, model: str, config: PipelineConfig, data: DataConfig,
               metric: str = "cer+wer", budget_minutes: float = 10.0,
               max_lines: Optional[int] = None, output: Optional[str] = None,
               batch_size: int = 16) -> Tuned:
    """Tune a decoder and its correctors on the validation split, and store the settings.

    Parameters
    ----------
    recogniser : LineRecogniser
    model : str
        Its file; the settings are stored beside it, and found there by themselves.
    config : PipelineConfig
        What to start from.
    data : DataConfig
    metric, budget_minutes, max_lines
        As for `ocr.correction.tuning.tune`.
    output : str, optional
        Another file for the settings.
    batch_size : int
    """
    prepared = recogniser.prepare(open_split(data, "validation"), data.cache)
    logits = recogniser.logits(prepared, batch_size)
    texts = prepared.dataset.texts()
    result = tune(logits, texts, recogniser.alphabet, config, metric=metric,
                  budget_minutes=budget_minutes, max_lines=max_lines)
    info = {"data": prepared.dataset.name, "split": prepared.dataset.split,
            **{f.name: getattr(result, f.name) for f in dataclasses.fields(result)
               if f.name not in ("config", "trials")}}
    chosen = calibrate(result.config, logits, texts, recogniser.alphabet)
    path = save_tuned(model, chosen, info, output)
    if not result.helps and output is None and stored_in(model) is None:
        # Read with unasked, greedy decoding shall have calibrated confidences too.
        greedy = calibrate(PipelineConfig(), logits, texts, recogniser.alphabet)
        save_tuned(model, greedy, {**info, "helps": True, "cer": result.greedy_cer,
                                   "wer": result.greedy_wer})
    sample = f", {result.lines} of {len(texts)} lines" if result.lines < len(texts) else ""
    return Tuned(chosen, path, result,
                 f"{prepared.dataset.name} ({prepared.dataset.split}{sample})")
