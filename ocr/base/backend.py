"""The one place where MXNet is imported.

Before that it gives OpenMP as many threads as this process has cores (MXNet
oversubscribes badly otherwise), leaves those threads to MXNet's own worker and, for an
``mxnet-cu*`` wheel, loads the CUDA 11 libraries of NVIDIA's pip wheels, so that a bare driver
suffices.
"""

import ctypes
import glob
import importlib.util
import os
import warnings

from lm.base.cores import available_cores
from lm.base.errors import DeviceError, ModelError

__all__ = ["mx", "nd", "gluon", "nn", "rnn", "autograd", "devices"]


#: Loaded in this order: later ones need earlier ones.
_CUDA_LIBRARIES = ("cuda_runtime/lib/libcudart.so*", "cuda_nvrtc/lib/libnvrtc.so*",
                   "cublas/lib/libcublasLt.so*", "cublas/lib/libcublas.so*",
                   "cufft/lib/libcufft.so*", "curand/lib/libcurand.so*",
                   "cusparse/lib/libcusparse.so*", "cusolver/lib/libcusolver.so*",
                   "cudnn/lib/libcudnn*.so*", "nccl/lib/libnccl.so*")


def _load_cuda_libraries():
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations if spec else ()):
        for pattern in _CUDA_LIBRARIES:
            for library in sorted(glob.glob(os.path.join(folder, pattern))):
                try:
                    ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
                except OSError:
                    # A library for another CUDA version; MXNet names what it then misses.
                    continue


os.environ.setdefault("OMP_NUM_THREADS", str(available_cores()))
# Large arrays handed over are else copied by OpenMP threads of the calling thread, beside those
# of MXNet's worker: more threads than cores, whereupon GNU OpenMP lets them sleep between two
# parallel loops. That took a third of the speed of training on two cores.
os.environ.setdefault("MXNET_CPU_PARALLEL_SIZE", str(2 ** 31 - 1))
_load_cuda_libraries()
try:
    import mxnet as mx
except ImportError as error:
    raise ModelError(f"MXNet cannot be imported ({error}); install it with "
                     "pip install 'ocr[cpu]' or 'ocr[cu112]' under Python 3.8 to 3.11") from error
except AttributeError as error:
    raise ModelError(f"MXNet 1.9 does not work with this NumPy ({error}); "
                     "install numpy<1.24") from error
except OSError as error:
    raise ModelError(f"MXNet's library cannot be loaded ({error}); the GPU wheel needs an "
                     "NVIDIA driver: install 'ocr[cpu]' where there is none") from error
from mxnet import autograd, gluon, nd  # noqa: E402
from mxnet.gluon import nn, rnn  # noqa: E402


def devices(spec: str = "auto") -> list:
    """Turn a device setting into MXNet contexts, each tried out.

    Parameters
    ----------
    spec : str
        "auto" (the first GPU when MXNet sees one and can use it, else the CPU, with a warning
        where it sees one), "cpu", "gpu", or "gpu:0,2".

    Returns
    -------
    list of mxnet.Context

    Raises
    ------
    DeviceError
        Malformed, no such GPU, or one that the installed wheel has no machine code for.
    """
    count = mx.context.num_gpus()
    if spec == "cpu" or (spec == "auto" and count == 0):
        return [mx.cpu()]
    if spec in ("auto", "gpu"):
        numbers = [0]
    elif spec.startswith("gpu:"):
        try:
            numbers = [int(n) for n in spec[4:].split(",")]
        except ValueError:
            raise DeviceError(f"device {spec!r}: expected numbers as in gpu:0,1") from None
    else:
        raise DeviceError(f"unknown device {spec!r}; known: auto, cpu, gpu, gpu:0,1,...")
    if count == 0:
        raise DeviceError(f"device {spec!r}: MXNet sees no GPU; install 'ocr[cu112]' and an "
                          "NVIDIA driver, or choose the device cpu")
    if len(set(numbers)) != len(numbers) or not all(0 <= n < count for n in numbers):
        raise DeviceError(f"device {spec!r}: MXNet sees the GPUs 0..{count - 1}, each named once")
    contexts = [mx.gpu(n) for n in numbers]
    for context in contexts:
        try:
            _try_out(context)
        except DeviceError as error:
            if spec != "auto":
                raise
            warnings.warn(f"taking the CPU: {error}", stacklevel=2)
            return [mx.cpu()]
    return contexts


def _try_out(context):
    try:
        (nd.ones((2, 2), ctx=context) + 1).asnumpy()
    except mx.MXNetError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[-1] if lines else "unknown"
        if "no kernel image" in str(error) or "invalid device function" in str(error):
            reason = ("the installed MXNet wheel has no machine code for this GPU; the mxnet-cu "
                      "1.9.1 wheels serve compute capability 5.0 to 8.6 (Maxwell to Ampere, and "
                      "Ada), not Hopper or newer: use an older GPU or the device cpu")
        raise DeviceError(f"{context}: {reason}") from None
