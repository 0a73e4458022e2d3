"""Restarts are bounded and backed off; a stop ends every process, also one that does not listen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import supervisor
from appliance.supervisor import Supervisor, restart_delay_s
from tests.listening_box import wait_until


@pytest.mark.parametrize(
    ("exits", "now", "delay_s"),
    [
        ([], 100.0, 0.0),
        ([100.0], 100.0, 0.2),
        ([99.0, 100.0], 100.0, 0.4),
        ([98.0, 99.0, 100.0], 100.0, 0.8),
        ([90.0 + n for n in range(8)], 100.0, 5.0),
        ([30.0, 100.0], 100.0, 0.2),
        ([30.0], 100.0, 0.0),
    ],
)
def test_each_recent_exit_doubles_the_pause(exits: list[float], now: float, delay_s: float) -> None:
    """From 0.2 s to 5 s; what is older than a minute is forgotten."""
    assert restart_delay_s(exits, now, 30) == pytest.approx(delay_s)


def test_past_the_limit_the_minute_is_waited_out() -> None:
    """A process that cannot live costs no more than its restarts per minute, and comes back by itself."""
    assert restart_delay_s([50.0, 60.0, 70.0], 70.0, 3) == pytest.approx(40.0)
    assert restart_delay_s([10.5, 60.0, 70.0], 70.0, 3) == pytest.approx(1.0)


def test_the_pause_never_overflows() -> None:
    """However many exits: the exponent is capped."""
    assert restart_delay_s([float(n) / 1e4 for n in range(5000)], 1.0, 10_000) == 5.0


Commands = dict[str, list[str]]


def run(
    commands: Commands, restarts_per_minute: int, done: Callable[[Supervisor], bool], held: frozenset[str] = frozenset()
) -> None:
    """Run a supervisor until a condition holds."""
    stop = threading.Event()
    supervised = Supervisor(commands, restarts_per_minute, stop)
    supervised.held = held
    failed: list[BaseException] = []

    def watch() -> None:
        try:
            wait_until(lambda: done(supervised), "the processes")
        except AssertionError as late:
            failed.append(late)
        finally:
            stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    supervised.run()
    watcher.join()
    assert not failed, failed


def shell(script: str) -> list[str]:
    """A tiny child."""
    return ["/bin/sh", "-c", script]


def lines(path: Path) -> list[str]:
    """What the children have written so far."""
    return path.read_text().split() if path.exists() else []


def test_a_process_that_ends_is_started_again(tmp_path: Path) -> None:
    """It is told how often it has been restarted, for the status page."""
    log = tmp_path / "log"
    run({"a": shell(f"echo $SCANSIDE_RESTARTS >> {log}")}, 30, lambda _: len(lines(log)) >= 3)
    assert lines(log)[:3] == ["0", "1", "2"]


def test_one_that_fails_does_not_disturb_the_others(tmp_path: Path) -> None:
    """The receiver goes on while the triage worker crashes."""
    log = tmp_path / "log"
    crashing = shell(f"echo crash >> {log}; kill -SEGV $$")
    steady = shell(f"echo steady >> {log}; exec sleep 60")
    run({"crashing": crashing, "steady": steady}, 30, lambda _: lines(log).count("crash") >= 3)
    assert lines(log).count("steady") == 1


def test_a_stop_ends_every_process(tmp_path: Path) -> None:
    """After run() returns, no child is left."""
    log = tmp_path / "log"
    sleeper = shell(f"echo $$ >> {log}; exec sleep 60")
    run({"a": sleeper, "b": sleeper}, 30, lambda _: len(lines(log)) == 2)
    for pid in lines(log):
        assert not Path(f"/proc/{pid}").exists()


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grace has an end."""
    monkeypatch.setattr(supervisor, "STOP_GRACE_S", 0.3)
    log = tmp_path / "log"
    deaf = shell(f"trap '' TERM; echo $$ >> {log}; while :; do sleep 0.05; done")
    run({"deaf": deaf}, 30, lambda _: len(lines(log)) == 1)
    assert not Path(f"/proc/{lines(log)[0]}").exists()


def test_the_limit_of_restarts_holds(tmp_path: Path) -> None:
    """With two a minute there is no third start, however long the others run (0.8 s, where 0.6 would do)."""
    log = tmp_path / "log"
    clock = tmp_path / "clock"
    short_lived = shell(f"echo few >> {log}")
    steps = shell(f"for i in 1 2 3 4 5 6 7 8; do echo $i >> {clock}; sleep 0.1; done; exec sleep 60")
    run({"few": short_lived, "steps": steps}, 2, lambda _: len(lines(clock)) == 8)
    assert lines(log) == ["few", "few"]


def test_what_is_held_starts_when_it_is_let_go_and_another_is_renewed(tmp_path: Path) -> None:
    """The rest runs on meanwhile."""
    log = tmp_path / "log"
    sleepers = {name: shell(f"echo {name} >> {log}; exec sleep 60") for name in ("held", "renewed", "steady")}

    def far_enough(supervised: Supervisor) -> bool:
        if sorted(lines(log)) == ["renewed", "steady"]:
            supervised.held = frozenset()
        elif sorted(lines(log)) == ["held", "renewed", "steady"]:
            supervised.renew("renewed")
        return len(lines(log)) == 4

    run(sleepers, 30, far_enough, held=frozenset({"held"}))
    assert sorted(lines(log)) == ["held", "renewed", "renewed", "steady"]


def test_it_ends_when_there_is_something_else_to_start(tmp_path: Path) -> None:
    """And ends its processes; whoever asked it to can begin anew."""
    log = tmp_path / "log"
    Supervisor({"a": shell(f"echo $$ >> {log}; exec sleep 60")}, 30, threading.Event()).run(lambda: bool(lines(log)))
    assert not Path(f"/proc/{lines(log)[0]}").exists()


CHILD = """
import sys
from appliance.supervisor import stop_event
stop = stop_event()
print("ready", flush=True)
sys.exit(0 if stop.wait(20) else 3)
"""


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "end of input"])
def test_a_child_hears_of_its_end(how: str) -> None:
    """By signal, or because the pipe from its supervisor closes, however that went."""
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        if how == "end of input":
            child.stdin.close()
        else:
            os.kill(child.pid, getattr(signal, how))
        assert child.wait(20.0) == 0
