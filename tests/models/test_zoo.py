import subprocess
import sys

import numpy as np
import pytest

from lm.base.errors import ConfigError
from ocr.base.backend import nd
from ocr.models import get_model
from ocr.models.zoo import list_bodies

from .test_cnn_bilstm import run, tiny


def test_names():
    assert {"resnet18_v1", "resnet34_v1", "resnet50_v1", "resnet34_v1b",
            "resnet50_v1d"} <= set(list_bodies())
    assert not any("v2" in name or "ssd" in name for name in list_bodies())
    with pytest.raises(ConfigError, match="unknown body 'resnet34'; known: resnet18_v1, "):
        get_model("small", 5, body="resnet34")
    with pytest.raises(ConfigError, match="resnet34_v1b has 3 blocks after a stem of 64 channels, "
                                          "not 2 after 32"):
        get_model("small", 5, body="resnet34_v1b")


@pytest.mark.parametrize("options", [
    {"body": "resnet50_v1"}, {"body": "resnet18_v1b", "body_channels": None, "body_blocks": None},
    {"body": "resnet50_v1d", "body_channels": None, "body_blocks": 1}])
def test_padding_never_changes_a_line(options):
    net = tiny(**options)
    images = np.zeros((2, 1, 32, 128), np.float32)
    images[0] = np.random.default_rng(1).uniform(0, 1, (32, 128))
    images[1, :, :, :40] = images[0, :, :, :40]
    together, frames = run(net, images, [128, 40])
    alone, count = run(net, images[1:, :, :, :40], [40])
    assert count[0] == frames[1] == 5
    np.testing.assert_allclose(alone[0], together[1, :5], atol=2e-5)
    # Its own body, not the preset's.
    assert net.body[0].conv1.weight.shape[2:] == ((1, 1) if "50" in options["body"] else (3, 3))
    assert net.stem.collect_params().keys()
    assert np.isfinite(net.features(nd, nd.array(images), nd.array([32, 10])).asnumpy()).all()


def test_images_cut_short_are_refused_beside_gluoncv():
    code = ("from PIL import ImageFile; from ocr.models.zoo import model_zoo; model_zoo(); "
            "print(ImageFile.LOAD_TRUNCATED_IMAGES)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_gluoncv_is_imported_beside_a_new_pytorch():
    """Its own check of PyTorch's version would raise."""
    script = ("import sys, types; torch = types.ModuleType('torch'); torch.__version__ = '2.5.1'; "
              "sys.modules['torch'] = torch\n"
              "from ocr.models.zoo import list_bodies; list_bodies()\n"
              "assert sys.modules['torch'] is torch")
    subprocess.run([sys.executable, "-c", script], check=True)
