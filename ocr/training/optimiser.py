"""Adam with decoupled weight decay, gradient clipping, schedules and averaged weights."""

import math

import numpy as np

from lm.base.errors import CheckpointError

from ..base.backend import gluon, nd
from ..checkpoints.settings import TrainingConfig
from ..models.weights import assign

__all__ = ["Optimiser", "WeightAverage", "learning_rate_at"]


def learning_rate_at(step: float, total_steps: int, config: TrainingConfig,
                     plateau_scale: float = 1.0) -> float:
    """Return the learning rate of a step (counted from 0).

    Parameters
    ----------
    step, total_steps : int
    config : TrainingConfig
    plateau_scale : float
        What the plateau schedule has multiplied the rate by so far.
    """
    peak, floor = config.learning_rate, config.learning_rate * config.final_learning_rate
    if step < config.warmup_steps:
        return peak * (step + 1) / config.warmup_steps
    if config.schedule == "cosine":
        done = (step - config.warmup_steps) / max(1, total_steps - config.warmup_steps)
        return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    if config.schedule == "plateau":
        return max(peak * plateau_scale, floor)
    return peak


class Optimiser:
    """MXNet's Adam, with clipping by global norm and, for AdamW, decay apart from the gradient.

    Parameters
    ----------
    net : mxnet.gluon.Block
    config : TrainingConfig
    """

    def __init__(self, net: gluon.Block, config: TrainingConfig):
        self.config = config
        decoupled = config.optimiser == "adamw"
        named = net._collect_params_with_prefix()
        self.names = [n for n, p in sorted(named.items()) if p.grad_req != "null"]
        self.parameters = [named[n] for n in self.names]
        self.contexts = self.parameters[0].list_ctx()
        self.trainer = gluon.Trainer(
            self.parameters, "adam",
            {"learning_rate": config.learning_rate, "wd": 0.0 if decoupled else config.weight_decay,
             # MXNet's own default; PyTorch has the same.
             "epsilon": 1e-8},
            kvstore="device", update_on_kvstore=False if len(self.contexts) > 1 else None)
        # Biases and normalisation are not decayed.
        self._decayed = [p for p in self.parameters if len(p.shape) > 1] if decoupled else []

    def step(self, learning_rate: float) -> float:
        """Update from the gradients; returns the gradients' global norm before clipping.

        A norm that is not finite leaves the weights alone.
        """
        if len(self.contexts) > 1:
            self.trainer.allreduce_grads()
        norms = [self._clip(context) for context in self.contexts]
        if not math.isfinite(norms[0]):
            return norms[0]
        self.trainer.set_learning_rate(learning_rate)
        if len(self.contexts) > 1:
            self.trainer.update(1)
        else:
            self.trainer.step(1)
        keep = 1 - learning_rate * self.config.weight_decay
        if self._decayed and keep != 1:
            for parameter in self._decayed:
                for value in parameter.list_data():
                    value *= keep
        return norms[0]

    def _clip(self, context):
        gradients = [p.grad(context) for p in self.parameters]
        squares = nd.multi_sum_sq(*gradients, num_arrays=len(gradients))
        norm = float(nd.sqrt(squares.sum()).asscalar())
        if self.config.clip and norm > self.config.clip:
            for gradient in gradients:
                gradient *= self.config.clip / norm
        return norm

    # -- state ----------------------------------------------------------------------------

    def state(self) -> tuple[int, dict[str, np.ndarray]]:
        """Return (number of updates, {name: NumPy array}) of the moments."""
        updater = self.trainer._updaters[0]
        arrays = {}
        for index, name in enumerate(self.names):
            if index in updater.states:
                for kind, value in zip(("mean", "variance"), updater.states[index]):
                    arrays[f"adam/{kind}/{name}"] = value.asnumpy()
        return int(self.trainer._optimizer.num_update), arrays

    def load_state(self, updates: int, arrays: dict[str, np.ndarray]) -> None:
        """Set what `state` returned; `CheckpointError` when it is another network's."""
        optimizer = self.trainer._optimizer
        for updater, context in zip(self.trainer._updaters, self.contexts):
            for index, name in enumerate(self.names):
                try:
                    moments = tuple(nd.array(arrays[f"adam/{kind}/{name}"], ctx=context,
                                             dtype=np.float32) for kind in ("mean", "variance"))
                except KeyError:
                    raise CheckpointError(f"no optimiser state of {name}") from None
                updater.states[index] = moments
                updater.states_synced[index] = True
        for device in range(len(self.contexts)):
            optimizer._set_current_context(device)
            for index in range(len(self.names)):
                optimizer._index_update_count[index] = updates
        optimizer.num_update = updates


class WeightAverage:
    """Exponential moving average of the weights.

    Batch norm's running mean and variance are averaged too: they belong to the weights that
    they were measured with.

    Parameters
    ----------
    net : mxnet.gluon.Block
    decay : float
        Of the average.
    warmup : bool
        Start with a lower decay, so that early weights are soon forgotten.
    """

    def __init__(self, net: gluon.Block, decay: float, warmup: bool = True):
        named = sorted(net._collect_params_with_prefix().items())
        self.names, self.parameters = [n for n, _ in named], [p for _, p in named]
        self.decay, self.warmup = decay, warmup
        self.context = self.parameters[0].list_ctx()[0]
        self.values = [p.data(self.context) * 1 for p in self.parameters]

    def update(self, step: int) -> None:
        """Take in the weights after `step` (counted from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay
        for value, parameter in zip(self.values, self.parameters):
            value *= decay
            value += (1 - decay) * parameter.data(self.context)

    def swap(self) -> None:
        """Exchange the averaged and the current weights; call it twice to undo."""
        for index, parameter in enumerate(self.parameters):
            current = parameter.data(self.context) * 1
            assign(parameter, self.values[index])
            self.values[index] = current

    def state(self) -> dict[str, np.ndarray]:
        """Return {name: NumPy array}."""
        return {f"ema/{n}": v.asnumpy() for n, v in zip(self.names, self.values)}

    def load_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Set what `state` returned; `CheckpointError` when it is another network's."""
        for index, (name, parameter) in enumerate(zip(self.names, self.parameters)):
            if f"ema/{name}" in arrays:
                self.values[index] = nd.array(arrays[f"ema/{name}"], ctx=self.context)
            # Checkpoints once held no running statistics: those of the weights stand in.
            elif parameter.grad_req != "null":
                raise CheckpointError(f"no averaged weight {name}")
            else:
                self.values[index] = parameter.data(self.context) * 1
