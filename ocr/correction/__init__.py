"""Post-correction of hypotheses: registered correctors that can be chained behind a decoder."""

from .base import (
    CORRECTORS,
    Corrector,
    build_corrector,
    corrector_stage,
    list_correctors,
    plain_hypothesis,
    retext,
)
from .pipeline import (
    Pipeline,
    PipelineConfig,
    build_pipeline,
    load_pipeline,
    parse_name,
    save_pipeline,
)

__all__ = ["CORRECTORS", "Corrector", "build_corrector", "corrector_stage", "list_correctors",
           "plain_hypothesis", "retext", "Pipeline", "PipelineConfig", "build_pipeline",
           "load_pipeline", "parse_name", "save_pipeline"]
