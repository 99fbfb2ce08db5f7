from __future__ import annotations

from pathlib import Path

import pytest

from scorer import sessions
from scorer.recommender import GRAPH
from scorer.sessions import CPU_PROVIDER, CUDA_PROVIDER, DeviceError, gpu_count, open_session, provider_of

without_gpu = pytest.mark.skipif(gpu_count() > 0, reason="this machine has a GPU")
with_gpu = pytest.mark.skipif(gpu_count() == 0, reason="this machine has no GPU")


@without_gpu
def test_demanded_gpu_that_is_absent_is_an_error(recommender_bundle: Path) -> None:
    with pytest.raises(DeviceError, match="device 'cuda' was demanded, but the CUDA driver shows 0 GPUs"):
        open_session(recommender_bundle / GRAPH, "cuda")


@without_gpu
def test_auto_runs_on_the_cpu_without_a_gpu(recommender_bundle: Path) -> None:
    assert provider_of(open_session(recommender_bundle / GRAPH, "auto")) == CPU_PROVIDER


@with_gpu
def test_demanded_gpu_is_used(recommender_bundle: Path) -> None:
    assert provider_of(open_session(recommender_bundle / GRAPH, "cuda")) == CUDA_PROVIDER


def test_silent_fall_back_to_the_cpu_is_an_error(recommender_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "gpu_count", lambda: 1)
    monkeypatch.setattr(sessions, "provider_of", lambda session: CPU_PROVIDER)
    with pytest.raises(DeviceError, match=r"runs recommender\.onnx on CPUExecutionProvider, expected CUDA"):
        open_session(recommender_bundle / GRAPH, "cuda")


def test_cpu_is_used_when_named(recommender_bundle: Path) -> None:
    assert provider_of(open_session(recommender_bundle / GRAPH, "cpu", threads=2)) == CPU_PROVIDER


def test_unknown_device_is_an_error(recommender_bundle: Path) -> None:
    with pytest.raises(DeviceError, match="device 'gpu': expected one of auto, cpu, cuda"):
        open_session(recommender_bundle / GRAPH, "gpu")  # type: ignore[arg-type]
