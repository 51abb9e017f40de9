import pytest

from lm.base.errors import DeviceError
from ocr.base import backend


def test_cpu_and_auto(monkeypatch):
    monkeypatch.setattr(backend.mx.context, "num_gpus", lambda: 0)
    assert backend.devices("cpu") == backend.devices("auto") == [backend.mx.cpu()]
    with pytest.raises(DeviceError, match="sees no GPU"):
        backend.devices("gpu")
    with pytest.raises(DeviceError, match="known: auto, cpu, gpu"):
        backend.devices("tpu")
    with pytest.raises(DeviceError, match="expected numbers"):
        backend.devices("gpu:x")


def test_gpu_numbers_are_checked(monkeypatch):
    monkeypatch.setattr(backend.mx.context, "num_gpus", lambda: 2)
    monkeypatch.setattr(backend, "_try_out", lambda context: None)
    assert backend.devices("gpu:1,0") == [backend.mx.gpu(1), backend.mx.gpu(0)]
    assert backend.devices("auto") == [backend.mx.gpu(0)]
    for spec in ("gpu:2", "gpu:0,0"):
        with pytest.raises(DeviceError, match=r"sees the GPUs 0\.\.1"):
            backend.devices(spec)


def test_a_gpu_without_machine_code_is_explained(monkeypatch):
    def fail(*args, **options):
        raise backend.mx.MXNetError("Check failed: e == cudaSuccess: CUDA: no kernel image is "
                                    "available for execution on the device")

    monkeypatch.setattr(backend.mx.context, "num_gpus", lambda: 1)
    monkeypatch.setattr(backend.nd, "ones", fail)
    with pytest.raises(DeviceError, match="not Hopper or newer.* or the device cpu"):
        backend.devices("gpu")
    with pytest.warns(UserWarning, match="taking the CPU: .*not Hopper or newer"):
        assert backend.devices("auto") == [backend.mx.cpu()]
