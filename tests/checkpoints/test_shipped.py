"""Looking up models that come with the library."""

import pytest

from lm.base.errors import MissingDataError, UnknownNameError
from ocr.checkpoints import shipped
from ocr.checkpoints.shipped import default_model, list_shipped, model_path


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """An empty folder of shipped models."""
    monkeypatch.setattr(shipped, "_FOLDER", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_nothing_is_shipped(weights):
    assert list_shipped() == []
    with pytest.raises(MissingDataError, match="no trained model comes with"):
        model_path()
    weights.rmdir()
    assert list_shipped() == []
    with pytest.raises(UnknownNameError, match="french: neither .* shipped: none"):
        model_path("french")


def test_models_by_name(weights, tmp_path):
    for name in ("latin.onnx", "english.onnx", "card.md"):
        (weights / name).touch()
    assert list_shipped() == ["english", "latin"]
    assert default_model() == model_path() == str(weights / "english.onnx")
    (weights / "french.onnx").touch()
    assert default_model() == str(weights / "french.onnx")
    assert model_path("latin") == str(weights / "latin.onnx")
    (tmp_path / "own.onnx").touch()
    assert model_path(tmp_path / "own.onnx") == str(tmp_path / "own.onnx")
    with pytest.raises(UnknownNameError, match="shipped: english, french, latin"):
        model_path("german")
