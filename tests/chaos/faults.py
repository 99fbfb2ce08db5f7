"""Faults: a name in, something broken and made good again out. Each works on a `Scene`, whatever it breaks."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable
from functools import partial

from tests.chaos.breaking import (
    BACK_S,
    Scene,
    cut,
    delay,
    is_ready,
    kill,
    limit_file_size,
    one_more,
    pause,
    replaced_by_a_file,
    restart,
)
from tests.waiting import wait_until

Fault = Callable[[Scene], str]
"""Breaks something, makes it good again, and says what it did."""


def kill_one_worker(scene: Scene) -> str:
    return kill([scene.one()])


def kill_all_workers(scene: Scene) -> str:
    return kill(scene.running())


def pause_a_worker(scene: Scene) -> str:
    return pause(scene.one(), scene.hold, 1.0, 3.0)


def pause_a_worker_past_its_session(scene: Scene) -> str:
    """Its partitions go to the others, and it wakes in the middle of a batch that is no longer its own."""
    session_s = scene.settings.session_timeout_s
    return pause(scene.one(), scene.hold, session_s + 2, session_s + 5)


def kill_the_others_as_one_wakes(scene: Scene) -> str:
    """What a worker wakes up to write must not take the place of what its successor had done and committed."""
    session_s = scene.settings.session_timeout_s
    sleeper = scene.one()
    did = pause(sleeper, scene.hold, session_s + 2, session_s + 4)
    scene.hold(0.0, 0.5)
    others = [worker for worker in scene.workers.ready() if worker.instance != sleeper.instance]
    return f"{did}; then {kill(others)}" if others else did


def restart_kafka(scene: Scene) -> str:
    return restart(scene, "kafka", signal.SIGTERM, 0.0, 3.0)


def kill_kafka(scene: Scene) -> str:
    return restart(scene, "kafka", signal.SIGKILL, 0.0, 3.0)


def restart_cassandra(scene: Scene) -> str:
    return restart(scene, "cassandra", signal.SIGTERM, 0.0, 2.0)


def kill_cassandra(scene: Scene) -> str:
    return restart(scene, "cassandra", signal.SIGKILL, 0.0, 2.0)


def pause_cassandra(scene: Scene) -> str:
    """Longer than requests may wait in its queue (12 s): those that expired it answers under a wrong number."""
    scene.servers.signal("cassandra", signal.SIGSTOP)
    seconds = scene.hold(13.0, 17.0)
    scene.servers.signal("cassandra", signal.SIGCONT)
    return f"cassandra stopped for {seconds:.1f} s, then continued"


def cut_cassandra(scene: Scene) -> str:
    return cut(scene, "cassandra")


def cut_kafka(scene: Scene) -> str:
    return cut(scene, "kafka")


def delay_cassandra(scene: Scene) -> str:
    return delay(scene, "cassandra")


def delay_kafka(scene: Scene) -> str:
    return delay(scene, "kafka")


def refuse_cassandra(scene: Scene) -> str:
    proxy = scene.servers.proxies["cassandra"]
    proxy.refuse()
    seconds = scene.hold(3.0, 6.0)
    proxy.accept()
    return f"connections to Cassandra refused for {seconds:.1f} s"


def fill_the_disk(scene: Scene) -> str:
    """Every write to a file fails in these workers, by a limit on file sizes: errno EFBIG in the place of ENOSPC."""
    workers = scene.running()
    for worker in workers:
        limit_file_size(worker.pid, 0)
    seconds = scene.hold(3.0, 6.0)
    for worker in workers:
        limit_file_size(worker.pid, resource.RLIM_INFINITY)
    return f"no worker could write a byte to a file for {seconds:.1f} s"


def take_the_data_folder(scene: Scene) -> str:
    """A file lies where each of a worker's folders was, so that not even root can write there; a worker dies of -9."""
    worker = scene.one()
    with replaced_by_a_file([scene.settings.logs, scene.settings.run]):
        kill([worker])
        seconds = scene.hold(3.0, 5.0)
    wait_until(scene.workers.all_ready, BACK_S, "workers that are ready once their folders are back")
    return f"worker {worker.instance} killed, and its log and run folders not writable for {seconds:.1f} s"


def jump_a_clock(scene: Scene) -> str:
    worker = scene.one()
    jump_s = scene.chance.choice((-86_400.0, -3_600.0, -30.0, 30.0, 3_600.0, 86_400.0))
    scene.clocks.jump(worker.pid, jump_s)
    seconds = scene.hold(4.0, 7.0)
    scene.clocks.jump(worker.pid, 0.0)
    return f"clock of worker {worker.instance} {jump_s:+.0f} s for {seconds:.1f} s, and back"


def join_and_leave(scene: Scene) -> str:
    """One more worker joins the group and goes, twice, once in order and once by ``kill -9``."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = one_more(scene.settings)
        try:
            wait_until(partial(is_ready, scene.settings, process.pid), BACK_S, "one more worker that is ready")
            scene.hold(1.0, 4.0)
        finally:
            process.send_signal(number)
            process.wait(60)
    return "one more worker joined and left, twice"


FAULTS: tuple[Fault, ...] = (
    kill_one_worker,
    kill_all_workers,
    pause_a_worker,
    pause_a_worker_past_its_session,
    kill_the_others_as_one_wakes,
    restart_kafka,
    kill_kafka,
    restart_cassandra,
    kill_cassandra,
    pause_cassandra,
    cut_cassandra,
    cut_kafka,
    delay_cassandra,
    delay_kafka,
    refuse_cassandra,
    fill_the_disk,
    take_the_data_folder,
    jump_a_clock,
    join_and_leave,
)

SHORT: tuple[Fault, ...] = (kill_one_worker, cut_cassandra, pause_a_worker, cut_kafka, kill_all_workers)
"""Enough for a test of every day, in the seconds that such a test may take."""
