"""ONNX Runtime sessions with the device said out loud.

In: a graph's path and the device wanted. Out: a session that runs where it was told to, or a `DeviceError`:
ONNX Runtime's GPU build lists CUDA as available on a machine without a GPU and silently runs on the CPU.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal, get_args

import onnxruntime
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.capi.onnxruntime_pybind11_state import (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NoModel,
    NoSuchFile,
    NotImplemented,
    RuntimeException,
)

Device = Literal["auto", "cpu", "cuda"]

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"

_GRAPH_ERRORS: tuple[type[Exception], ...] = (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NoModel,
    NoSuchFile,
    NotImplemented,
    RuntimeException,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What ONNX Runtime raises when it cannot open a graph, or run it on these inputs; they have no base of their own."""

_ERRORS_ONLY = 3
_log = logging.getLogger(__name__)


class DeviceError(RuntimeError):
    """The device demanded is not there, or ONNX Runtime cannot use it."""


class GraphError(RuntimeError):
    """ONNX Runtime cannot open a graph, or cannot run it on these inputs."""


def open_session(path: Path, device: Device = "auto", *, threads: int = 1) -> InferenceSession:
    """Open a graph on a device.

    Parameters
    ----------
    path
        The ``.onnx`` file.
    device
        ``cpu``; ``cuda``, an error where it can't be used; ``auto``, CUDA where it works, else the CPU.
    threads
        Threads of one run on the CPU. One is steadier than more beside busy neighbours, and workers are
        processes; raise it where a worker has cores of its own.

    Raises
    ------
    DeviceError
        When CUDA is demanded and the session would not run on it, or `device` is none of the three.
    GraphError
        When the file is no graph.
    """
    if device not in get_args(Device):
        raise DeviceError(f"device {device!r}: expected one of {', '.join(get_args(Device))}")
    gpus = 0 if device == "cpu" else gpu_count()
    if device == "cuda" and gpus == 0:
        raise DeviceError(
            "device 'cuda' was demanded, but the CUDA driver shows 0 GPUs here, expected at least 1: "
            "set LASTCLICK_DEVICE=auto or cpu, or check the driver with nvidia-smi"
        )
    if gpus == 0:
        return _open(path, threads, [CPU_PROVIDER])
    # With TF32, products keep 10 bits of mantissa and golden outputs differ in the third digit.
    providers = [(CUDA_PROVIDER, {"use_tf32": "0"}), CPU_PROVIDER]
    with redirect_stdout(sys.stderr):  # both print what they miss, and stdout may be carrying JSON
        onnxruntime.preload_dlls()
        session = _open(path, threads, providers)
    if provider_of(session) != CUDA_PROVIDER:
        message = (
            f"ONNX Runtime {onnxruntime.__version__} runs {path.name} on {provider_of(session)}, expected "
            f"{CUDA_PROVIDER}: its CUDA libraries did not load; install lastclick[gpu]"
        )
        if device == "cuda":
            raise DeviceError(f"device 'cuda' was demanded, but {message}")
        _log.warning("a GPU is present, but %s", message)
    return session


def run_graph(
    session: InferenceSession, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Run a graph on inputs that may not fit it; outputs by name, or a `GraphError`."""
    try:
        return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))
    except _GRAPH_ERRORS as error:
        raise GraphError(f"{type(error).__name__}: {error}") from error


def provider_of(session: InferenceSession) -> str:
    """Name of the execution provider that the session really uses, such as ``CPUExecutionProvider``."""
    return str(session.get_providers()[0])


def gpu_count() -> int:
    """Count the GPUs that the CUDA driver shows to this process; 0 without a driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _open(path: Path, threads: int, providers: Sequence[Any]) -> InferenceSession:
    try:
        return InferenceSession(str(path), _options(threads), providers=list(providers))
    except _GRAPH_ERRORS as error:
        raise GraphError(f"{type(error).__name__}: {error}") from error


def _options(threads: int) -> SessionOptions:
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
