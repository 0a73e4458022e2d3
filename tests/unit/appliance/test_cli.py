"""The command line's own promises: --help everywhere and at once, and exit statuses 0, 1 and 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from appliance.cli import app

COMMANDS = (
    ["serve"], ["cloud"], ["demo"], ["triage"], ["evaluate"], ["status"], ["check"], ["deidentify"], ["bench"],
    ["outbox", "list"], ["outbox", "show"], ["outbox", "retry"], ["outbox", "park"], ["outbox", "export"],
    ["models", "list"], ["models", "verify"], ["models", "selftest"], ["audit", "verify"], ["audit", "list"],
)  # fmt: skip
RUN_UNTIL_STOPPED = (["serve"], ["cloud"])

runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    """--help works without configuration or home; --config is everywhere, --json where a command ends by itself."""
    result = runner.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "--config" in result.output
    assert ("--json" in result.output) is (command not in RUN_UNTIL_STOPPED)


def test_no_command_is_a_question() -> None:
    """The bare program lists what it can do; the internal command stays out of it."""
    result = runner.invoke(app, [])
    assert "triage" in result.output
    assert "Research use only, not for diagnosis." in result.output
    assert "One supervised process" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["triage"],
        ["evaluate", "tiny"],
        ["outbox", "show", "one"],
        ["outbox", "list", "--limit", "0"],
        ["outbox", "retry"],
        ["outbox", "park", "one"],
        ["outbox", "export", "--out"],
        ["bench", "--rounds", "0"],
        ["status", "--unknown"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_status_2(arguments: list[str]) -> None:
    """Whatever the parser does not accept."""
    assert runner.invoke(app, arguments).exit_code == 2


def test_an_unusable_configuration_is_status_2(tmp_path: Path) -> None:
    """As the shell sees it: the message on standard error, no trace, nothing made. ``serve`` goes on, see safe mode."""
    config = tmp_path / "scanside.toml"
    config.write_text(f'home = "{tmp_path / "box"}"\n[dicom]\nport = "eleven"\n')
    ended = subprocess.run(
        [sys.executable, "-m", "appliance", "check", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "dicom.port = 'eleven'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "box").exists()


def test_help_does_not_load_the_heavy_libraries() -> None:
    """pydicom, highdicom and the backends cost seconds; --help must not pay for them."""
    code = (
        "import sys; from appliance.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pydicom', 'highdicom', 'openvino', 'onnxruntime', 'sqlalchemy', 'cv2', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
