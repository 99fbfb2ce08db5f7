from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from cassandra import ConsistencyLevel, InvalidRequest, OperationTimedOut, Unavailable, WriteTimeout, WriteType
from cassandra.cluster import NoHostAvailable

from streams import waiting
from streams.waiting import Patience, Stopped

CURABLE = [
    NoHostAvailable("no host", {}),
    OperationTimedOut(),
    WriteTimeout("slow", write_type=WriteType.SIMPLE),
    Unavailable("too few", ConsistencyLevel.ONE, 1, 0),
]


def failing_with(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


@pytest.mark.parametrize("error", CURABLE, ids=lambda error: type(error).__name__)
def test_call_is_repeated_until_cassandra_takes_it(error: Exception) -> None:
    assert Patience().until_available(failing_with(error, error)) == "done"


@pytest.mark.parametrize("error", [InvalidRequest("no such column"), ZeroDivisionError("a defect")])
def test_what_another_try_cannot_cure_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        Patience().until_available(failing_with(error))


def test_wait_grows_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    patience, waits = Patience(), []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    monkeypatch.setattr(patience._stopping, "wait", wait)

    patience.until_available(failing_with(*[CURABLE[0]] * 7))

    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == waiting.LONGEST_WAIT_S


def test_stop_ends_a_wait() -> None:
    patience = Patience()

    def away() -> None:
        raise NoHostAvailable("no host", {})

    with ThreadPoolExecutor(1) as pool:
        waiting_call = pool.submit(patience.until_available, away)
        patience.stop()
        with pytest.raises(Stopped):
            waiting_call.result(10)
