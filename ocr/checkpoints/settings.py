"""Settings of an experiment: what a YAML file given to ``ocr train`` holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, Optional

from lm.base.settings import Range, Settings, apply_overrides, from_mapping, read_yaml
from lm.normalisation import check_rules

from ..image import AugmentConfig, PreprocessConfig
from ..recipes import recipe_path

__all__ = ["DataConfig", "ModelConfig", "TrainingConfig", "ExperimentConfig", "read_experiment"]

_Count = Annotated[int, Range(1)]
_Whole = Annotated[int, Range(0)]
_Amount = Annotated[float, Range(0)]


@dataclass(frozen=True)
class DataConfig(Settings):
    """Where the lines come from.

    Attributes
    ----------
    source : str
        A registered data source (``ocr list``); synthetic handwriting by default.
    options : dict
        Options of the source common to all splits.
    train, validation, test : dict
        Options of the source for each split; they go before `options`. The sources with splits
        of their own ("iam", "synthetic", "folder", "captcha", "hdf5") know which is meant where
        `split` is not given.
    validation_share : float
        Share of the training lines that is held out for validation, in place of what `validation`
        names: whole writers where there are enough of them. 0 where there is a split for it.
    cache : str or None
        Folder for decoded lines; None keeps them in memory.
    normalise : tuple of str
        Rules of `lm.normalisation` for the transcripts of all splits, so that alphabet,
        training, tuning and scores all see the same; NFC alone by default.
    """

    source: str = "synthetic"
    options: dict = field(default_factory=dict)
    train: dict = field(default_factory=dict)
    validation: dict = field(default_factory=dict)
    test: dict = field(default_factory=dict)
    validation_share: Annotated[float, Range(0, 0.5)] = 0.0
    cache: Optional[str] = None
    normalise: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "normalise", check_rules(self.normalise))


@dataclass(frozen=True)
class ModelConfig(Settings):
    """The network.

    Attributes
    ----------
    name : str
        A registered network (``ocr list``).
    options : dict
        Settings of that network that differ from its preset's (``ocr settings NAME``).
    pretrained : str
        What the body starts from: "" (random weights), "imagenet" (what gluoncv's model zoo has
        for it), or a file: Gluon ``.params``, or a torchvision state dict (``.pth``, ``.pt``).
    pretrained_required : bool
        Whether to stop where the model zoo cannot be reached, instead of starting from random
        weights.
    """

    name: str = "small"
    options: dict = field(default_factory=dict)
    pretrained: str = ""
    pretrained_required: bool = True


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """How the network is trained.

    Attributes
    ----------
    epochs : int
        Times that every training line is seen.
    batch_size : int
        Lines of one step.
    optimiser : {"adam", "adamw"}
        adamw applies `weight_decay` apart from the gradient, on weights alone.
    learning_rate : float
        Peak, after the warm-up.
    final_learning_rate : float
        Share of the peak at which the cosine ends, or below which plateau does not go.
    warmup_steps : int
        Steps over which the rate rises to its peak.
    schedule : {"cosine", "plateau", "constant"}
        How the rate falls after the warm-up.
    plateau_patience, plateau_factor :
        After so many validations without a better one the rate is multiplied by the factor.
    weight_decay : float
        Share of each weight taken off a step, times the rate; 0 for none.
    clip : float
        Largest global gradient norm; 0 for none.
    shortcut_weight : float
        Weight of the shortcut branch's CTC loss, where the network has one.
    ema : float
        Decay of the moving average of the weights, used for validation and kept as the best
        checkpoint; 0 for none.
    ema_warmup : bool
        The average starts with a shorter memory, so that the first weights are soon forgotten:
        right for weights drawn at random. Without it, it starts from the initial weights as they
        are: for a network that is good already, trained on at a high rate.
    monitor : {"cer", "loss"}
        Which figure of the validation chooses the best checkpoint, stops early and lowers the
        rate of the schedule "plateau".
    patience : int
        Stop after so many validations without a better one; 0 never.
    validate_every : int
        Epochs between validations.
    seed : int
        Of the weights drawn, the order of lines and their distortions.
    device : str
        "auto", "cpu", "gpu" or "gpu:0,1" (the batch is split over several).
    workers : int
        Threads that prepare batches; 0 prepares them between steps.
    keep_epochs : bool
        Keep the weights of every validated epoch, as ``epoch-NNN.ckpt``.
    checkpoint_minutes : float
        Minutes between writes of the last checkpoint inside an epoch.
    log_images : int
        Training and validation lines shown in mxboard with truth and reading, and lines drawn
        into ``samples.png`` before training; 0 for none.
    initial_checkpoint : str or None
        Start from these weights (of the same network; an output layer for another alphabet
        takes over the characters both have).
    initial_partial : bool
        The initial checkpoint may be of another network of the same kind: weights whose names and
        shapes fit, at least half of all, are taken over, the others start anew.
    freeze : tuple of str
        Layers that stay as they are, by their names in checkpoints (``stem``, ``encoders.0``):
        a step then costs less, and few lines cannot spoil them. Batch norm there goes on with
        the statistics it has.
    """

    epochs: _Count = 30
    batch_size: _Count = 12
    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: Annotated[float, Range(above=0)] = 1e-3
    final_learning_rate: Annotated[float, Range(0, 1)] = 0.02
    warmup_steps: _Whole = 300
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    plateau_patience: _Whole = 4
    plateau_factor: Annotated[float, Range(above=0, below=1)] = 0.3
    weight_decay: _Amount = 1e-4
    clip: _Amount = 5.0
    shortcut_weight: _Amount = 0.3
    ema: Annotated[float, Range(0, below=1)] = 0.998
    ema_warmup: bool = True
    monitor: Literal["cer", "loss"] = "cer"
    patience: _Whole = 0
    validate_every: _Count = 1
    seed: Annotated[int, Range(0, 2 ** 31 - 1)] = 1
    device: str = "auto"
    workers: _Whole = 1
    keep_epochs: bool = False
    checkpoint_minutes: _Amount = 5.0
    log_images: _Whole = 8
    initial_checkpoint: Optional[str] = None
    initial_partial: bool = False
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExperimentConfig(Settings):
    """All of an experiment; stored in each of its checkpoints.

    Attributes
    ----------
    output : str
        Folder of checkpoints and logs.
    data : DataConfig
    alphabet : str
        "data" (the training transcripts' characters), a preset ("iam", "ascii"), a file of
        characters, or a checkpoint (``.ckpt``) to take its alphabet over; ``+data`` behind one of
        these adds the characters of the training transcripts that it lacks.
    """

    output: str
    data: DataConfig = field(default_factory=DataConfig)
    alphabet: str = "data"
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    augment: Optional[AugmentConfig] = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


def read_experiment(config: Optional[str] = None, overrides: Iterable[str] = (),
                    base: Optional[Mapping] = None) -> ExperimentConfig:
    """Return the settings of an experiment.

    Parameters
    ----------
    config : str, optional
        YAML file, or name of a recipe (``ocr list recipes``).
    overrides : iterable of str
        ``key=value``; they go before the file.
    base : mapping, optional
        What they start from; the file goes before.

    Raises
    ------
    ConfigError, UnknownNameError
        A file that cannot be read, an unknown recipe, key or value.
    """
    given = read_yaml(recipe_path(config)) if config else {}
    return from_mapping(ExperimentConfig, apply_overrides({**(base or {}), **given}, overrides))
