from .api import (
    ALTODataset,
    CaptchaDataset,
    FolderDataset,
    HDF5Dataset,
    IAMDataset,
    IndexDataset,
    PAGEDataset,
    SyntheticDataset,
    TableDataset,
    denoising_pairs,
    evaluate,
    list_models,
    open_dataset,
    train,
    tune,
)
from .correction import build_corrector, build_pipeline
from .decoding import build_decoder
from .models import get_model
from .recognition import PageReader, PageReading, open_model, open_recogniser, recognise, recognize
from .recognition.readings import Readings

__all__ = [
    "ALTODataset",
    "CaptchaDataset",
    "FolderDataset",
    "HDF5Dataset",
    "IAMDataset",
    "IndexDataset",
    "PAGEDataset",
    "PageReader",
    "PageReading",
    "Readings",
    "SyntheticDataset",
    "TableDataset",
    "build_corrector",
    "build_decoder",
    "build_pipeline",
    "denoising_pairs",
    "evaluate",
    "get_model",
    "list_models",
    "open_dataset",
    "open_model",
    "open_recogniser",
    "recognise",
    "recognize",
    "train",
    "tune",
]
