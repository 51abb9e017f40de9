import pytest

from ocr.models import get_model, list_models
from ocr.models.summary import summarise


@pytest.mark.parametrize("name", list_models())
def test_every_network_is_told_layer_by_layer(name):
    net = get_model(name, 11)
    net.initialize()
    table = summarise(net, 100)
    *rows, total = [line.split() for line in table.splitlines()[1:]]
    counted = sum(int(row[-1].replace(",", "")) for row in rows)
    assert total[0] == f"{counted:,}" and "of 11 classes" in table
    names = {row[0] for row in rows}
    # The names under which checkpoints hold the weights.
    assert {n.rpartition(".")[0].replace("._unfused.0", "")
            for n in net._collect_params_with_prefix()} == names
    assert not any("-" == row[2] for row in rows)


def test_shapes():
    net = get_model("small", 11)
    net.initialize()
    rows = {line.split()[0]: line for line in summarise(net, 795).splitlines()}
    assert "1 x 32 x 32 x 400" in rows["stem"]
    assert "gives 100 frames" in summarise(net, 795)
