import numpy as np
import pytest

from lm.base.errors import CheckpointError
from ocr.base.backend import mx, nd, nn
from ocr.training.optimiser import WeightAverage


@pytest.fixture
def net():
    net = nn.HybridSequential()
    net.add(nn.Dense(1, in_units=2, use_bias=False), nn.BatchNorm(in_channels=1))
    net.initialize(mx.init.One())
    return net


def values(net):
    return {n: p.data().asnumpy().ravel().tolist()
            for n, p in net._collect_params_with_prefix().items()}


def test_average_follows_weights_and_running_statistics(net):
    average = WeightAverage(net, 0.75)
    net[0].weight.set_data(nd.array([[3.0, 5.0]]))
    net[1].running_mean.set_data(nd.array([4.0]))
    # The first updates weigh more than 1 - 0.75: (1 + step) / (10 + step) is less than 0.75.
    average.update(1)
    kept = 2 / 11
    average.swap()
    averaged = values(net)
    np.testing.assert_allclose(averaged["0.weight"], [kept + (1 - kept) * 3, kept + (1 - kept) * 5],
                               rtol=1e-6)
    np.testing.assert_allclose(averaged["1.running_mean"], [(1 - kept) * 4], rtol=1e-6)
    average.swap()
    assert values(net)["0.weight"] == [3.0, 5.0] and values(net)["1.running_mean"] == [4.0]


def test_without_warmup_the_first_weights_are_kept_for_long(net):
    average = WeightAverage(net, 0.75, warmup=False)
    net[0].weight.set_data(nd.array([[3.0, 5.0]]))
    for step in (1, 2):
        average.update(step)
    average.swap()
    kept = 0.75 ** 2
    np.testing.assert_allclose(values(net)["0.weight"],
                               [kept + (1 - kept) * 3, kept + (1 - kept) * 5], rtol=1e-6)


def test_state_round_trip_and_what_is_missing(net):
    average = WeightAverage(net, 0.75)
    net[0].weight.set_data(nd.array([[3.0, 5.0]]))
    average.update(1)
    state, again = average.state(), WeightAverage(net, 0.75)
    again.load_state(state)
    assert {n: v.tolist() for n, v in again.state().items()} == {
        n: v.tolist() for n, v in state.items()}
    # Older checkpoints: the running statistics are the network's own.
    net[1].running_mean.set_data(nd.array([7.0]))
    again.load_state({n: v for n, v in state.items() if "running" not in n})
    assert again.state()["ema/1.running_mean"].tolist() == [7.0]
    with pytest.raises(CheckpointError, match="no averaged weight 0.weight"):
        again.load_state({})
