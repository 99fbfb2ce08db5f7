from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from streams.demo.home import DemoError, held
from streams.demo.interrupts import Interrupted, Interrupts


def test_signal_waits_until_it_is_asked_for() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted) as ended:
            interrupts.check()
    assert ended.value.exit_code == 143


def test_signal_ends_a_wait() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(Interrupted):
            interrupts.wait(60)


def send_and_pause(interrupts: Interrupts) -> None:
    with interrupts.raising():
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()


def test_signal_breaks_into_what_may_be_broken_off() -> None:
    with Interrupts() as interrupts, pytest.raises(Interrupted):
        send_and_pause(interrupts)


def test_signal_that_came_before_is_raised_at_once() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted), interrupts.raising():
            pytest.fail("the block ran")


def test_second_signal_does_not_disturb_the_end() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(Interrupted), interrupts.raising():
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted) as ended:
            interrupts.check()
    assert ended.value.number == signal.SIGINT


def test_forgiven_signal_makes_room_for_the_next() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        interrupts.forgive()
        interrupts.check()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            interrupts.check()


def test_former_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_two_demos_do_not_share_a_home(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(DemoError, match=str(os.getpid())), held(tmp_path):
        pytest.fail("both hold it")
    with held(tmp_path) as folder:
        assert (folder / "models").resolve() == tmp_path / "models"
