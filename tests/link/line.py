"""A line between two network namespaces of our own: rate by ``tc``, loss by ``nft``, cuts by ``ip``, delay by a relay.

Nothing of this machine's own network is touched. Needs root; says what is missing when it cannot be made.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.link import relay

BOX_ADDRESS: Final = "10.77.0.1"
CLOUD_ADDRESS: Final = "10.77.0.2"
_TOOLS: Final = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables"}
_NAMESPACES: Final = Path("/run/netns")

_LOSS = """table inet lossy {{
  chain arriving {{
    type filter hook input priority 0;
    iifname "line" numgen random mod 1000 < {per_mille} counter drop
  }}
}}
"""


@dataclass(frozen=True)
class Line:
    """The namespace ``box`` at one end, ``cloud`` at the other."""

    box: str
    cloud: str

    @contextmanager
    def at(self, namespace: str) -> Iterator[None]:
        """This thread, and the threads and sockets it makes meanwhile, are in the namespace."""
        with Path("/proc/thread-self/ns/net").open("rb") as home:
            relay.enter(_NAMESPACES / namespace)
            try:
                yield
            finally:
                relay.enter(Path(f"/proc/self/fd/{home.fileno()}"))

    def cut(self) -> None:
        """The line goes down at the box's end. What is on its way is lost."""
        _run("ip", "-n", self.box, "link", "set", "dev", "line", "down")

    def mend(self) -> None:
        """It comes up again."""
        _run("ip", "-n", self.box, "link", "set", "dev", "line", "up")

    @property
    def sent_bytes(self) -> int:
        """What the box's end has sent so far, the headers of IP and TCP included, as the interface counts."""
        found = json.loads(_run("ip", "-n", self.box, "-j", "-s", "link", "show", "dev", "line"))
        return int(found[0]["stats64"]["tx"]["bytes"])


@contextmanager
def shaped(rate: str = "", round_trip_s: float = 0.0, loss: float = 0.0) -> Iterator[Line]:
    """A line that carries ``rate`` each way (in tc's words), and loses this share of the packets each way."""
    require()
    name = f"scanside-{secrets.token_hex(3)}"
    line = Line(f"{name}-box", f"{name}-cloud")
    with ExitStack() as stack:
        for namespace in (line.box, line.cloud):
            _run("ip", "netns", "add", namespace)
            stack.callback(_run, "ip", "netns", "delete", namespace)
        stack.enter_context(_wire(line, round_trip_s))
        for namespace, address in ((line.box, BOX_ADDRESS), (line.cloud, CLOUD_ADDRESS)):
            _set_up(namespace, address, rate, loss)
        yield line


def require() -> None:
    """Fail, and say what to do, when this machine cannot make such a line."""
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    assert not missing, f"missing: {', '.join(missing)}; make link installs them (apt-get install {' '.join(missing)})"
    assert Path("/dev/net/tun").exists(), "missing: /dev/net/tun (modprobe tun; a container needs it passed in)"
    assert os.geteuid() == 0, "network namespaces need root: run make link as root"


def _set_up(namespace: str, address: str, rate: str, loss: float) -> None:
    _run("ip", "-n", namespace, "link", "set", "dev", "lo", "up")
    _run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "line")
    _run("ip", "-n", namespace, "link", "set", "dev", "line", "up")
    if rate:
        shape = ("root", "tbf", "rate", rate, "burst", "16kb", "latency", "200ms")
        _run("tc", "-n", namespace, "qdisc", "add", "dev", "line", *shape)
    if loss:
        rules = _LOSS.format(per_mille=round(loss * 1000))
        _run("ip", "netns", "exec", namespace, "nft", "-f", "-", given=rules)


@contextmanager
def _wire(line: Line, round_trip_s: float) -> Iterator[None]:
    ends = [str(_NAMESPACES / namespace) for namespace in (line.box, line.cloud)]
    command = [sys.executable, str(Path(relay.__file__)), *ends, str(round_trip_s)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n", "the relay between the two ends did not start"
        yield
    finally:
        process.communicate(timeout=20.0)


def _run(*command: str, given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout
