"""A configuration that goes bad under a real box: what was in force stays so, or the page alone says what to mend."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from appliance.demo.stage import free_port, listening
from appliance.results.pacs import PacsLink
from appliance.start.in_force import IN_FORCE
from store_forward.errors import DeliveryDeferred
from tests.certificates import Authority
from tests.dicom_factory import as_bytes
from tests.small_box import image
from tests.started_box import answers, ask, eventually, started_box, status_of

pytestmark = pytest.mark.timeout(400)


class Box:
    """A configuration file with ports of its own, and ways to spoil and mend it."""

    def __init__(self, folder: Path, *further: str) -> None:
        self.dicom, self.page, self.file = free_port(), free_port(), folder / "scanside.toml"
        self.home = folder / "box"
        self.good = "\n".join(
            (
                f'home = "{self.home}"',
                f"[dicom]\nport = {self.dicom}",
                f"[page]\nport = {self.page}",
                "[limits]\nfree_disk_floor_bytes = 0",
                *further,
                "",
            )
        )
        self.write()

    def write(self, more: str = "") -> None:
        """Put the good configuration there, and ``more`` behind it."""
        self.file.write_text(self.good + more)

    def echoes(self) -> bool:
        """Whether the receiver answers."""
        try:
            PacsLink("127.0.0.1", self.dicom, "SCANSIDE", "SCANNER", 10.0).echo()
        except DeliveryDeferred:
            return False
        return True

    def up(self) -> None:
        """Wait until images are taken and the page answers."""
        eventually(lambda: self.echoes() and listening(self.page), "the box to listen")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """One that has never run."""
    return Box(tmp_path)


def test_a_first_start_with_a_bad_file_shows_the_page_alone(box: Box) -> None:
    """It says key, reason, repair and line, is not ready, receives nothing, and starts by itself once mended."""
    box.write("[dicom.peers.CT1]\nplian = true\n")
    with started_box(box.file) as started:
        eventually(lambda: listening(box.page), "the page of safe mode")
        text = ask(box.page).text
        for words in ("Safe mode", "dicom.peers.CT1.plian", "there is no such key", "<dd>9</dd>", "Research use only"):
            assert words in text
        assert ask(box.page, "/readyz").status_code == 503
        assert answers(box.page)["status"] == "degraded"
        assert ask(box.page, "/api/status").json()["status"] == "failed"
        assert not listening(box.dicom)
        assert not box.home.exists()
        box.write()
        box.up()
        eventually(lambda: status_of(box.page) == 200, "the worklist")
    assert started.exit_status == 0


def test_a_typing_error_does_not_turn_images_away(box: Box, tmp_path: Path) -> None:
    """The box that ran before goes on with what was in force; the page names the error; a mended file is taken up."""
    with started_box(box.file):
        box.up()
    box.write('[cloud]\nurl = "http://10.0.0.1"\n')
    with started_box(box.file) as started:
        box.up()
        path = tmp_path / "image.dcm"
        path.write_bytes(as_bytes(image()))
        PacsLink("127.0.0.1", box.dicom, "SCANSIDE", "SCANNER", 10.0).deliver(path)
        eventually(lambda: "configuration" in answers(box.page), "the page to know")
        assert "plain http is for the loopback" in answers(box.page)["configuration"][0]
        assert "cannot be used" in ask(box.page).text
        assert "goes on with the configuration that was last in force" in ask(box.page, "/setup").text
        box.write('[cloud]\nbox_id = "north-7"\n')
        eventually(lambda: "configuration.mended" in started.log, "the file to be taken up")
        eventually(lambda: answers(box.page).get("configuration", []) == [] and box.echoes(), "the new start")
        eventually(lambda: status_of(box.page) == 200, "the page")
        assert "north-7" in ask(box.page).text
    assert started.exit_status == 0
    assert "north-7" in (box.home / IN_FORCE).read_text()


def test_a_file_that_is_gone_and_one_that_goes_bad_while_it_runs(box: Box) -> None:
    """Neither changes what the processes read, also those that are started again; the exit status tells."""
    with started_box(box.file) as started:
        box.up()
        box.write("[dicom\n")
        eventually(lambda: "configuration" in answers(box.page), "the page to know")
        assert box.echoes()
        box.write("[page\n")
    assert started.exit_status == 0
    box.file.unlink()
    with started_box(box.file, SCANSIDE_HOME=str(box.home)) as started:
        box.up()
        assert "no such file" in started.log
    assert started.exit_status == 2


def test_a_port_that_is_taken_holds_the_receiver_alone(box: Box) -> None:
    """The page says so, and the receiver starts when the port is free."""
    with socket.create_server(("127.0.0.1", box.dicom)) as other, started_box(box.file) as started:
        eventually(lambda: status_of(box.page) == 200, "the page")
        text = ask(box.page, "/setup").text
        assert f"127.0.0.1:{box.dicom} cannot be listened on: Address already in use" in text
        assert ask(box.page, "/healthz").status_code == 503
        other.close()
        eventually(box.echoes, "the receiver")
        eventually(lambda: "configuration" not in answers(box.page), "the page to know")
    assert started.exit_status == 0


def test_missing_secrets_close_what_needs_them_and_nothing_else(tmp_path: Path) -> None:
    """DICOMweb and the destination wait for their tokens; images are taken meanwhile; then both open by themselves."""
    token = tmp_path / "token"
    stow = f'[[stow]]\nname = "web"\nurl = "https://127.0.0.1:9/x"\ntoken_file = "{token}"'
    box = Box(tmp_path, stow, f'[dicomweb]\nenabled = true\ntoken_file = "{token}"')
    with started_box(box.file) as started:
        box.up()
        held = [one for one in ask(box.page, "/setup").text.split("<dt>Not started</dt><dd>")[1:]]
        assert {one.partition("</dd>")[0] for one in held} == {"deliveries to web", "dicomweb"}
        assert ask(box.page, "/dicom-web/studies").status_code == 404
        token.write_text("a token of some length\n")
        eventually(lambda: status_of(box.page, "/dicom-web/studies") == 401, "DICOMweb")
        assert box.echoes()
    assert started.exit_status == 0


def test_certificates_that_cannot_be_used_hold_the_receiver(tmp_path: Path) -> None:
    """The page stays, and renewed files are enough."""
    authority = Authority(tmp_path)
    own = authority.vouch("localhost")
    tls = f'[dicom.tls]\nport = {free_port()}\ncertificate = "{tmp_path}/own.pem"\nprivate_key = "{own.private_key}"'
    box = Box(tmp_path, f'{tls}\nclient_ca = "{authority.ca}"')
    with started_box(box.file) as started:
        eventually(lambda: listening(box.page), "the page")
        assert "own.pem" in ask(box.page, "/setup").text
        assert not listening(box.dicom)
        (tmp_path / "own.pem").write_bytes(own.certificate.read_bytes())
        eventually(box.echoes, "the receiver")
    assert started.exit_status == 0


def test_a_folder_of_packs_that_cannot_be_read_is_said_and_stops_nothing(tmp_path: Path) -> None:
    """Other packs read on."""
    box = Box(tmp_path, f'[triage]\npacks = "{tmp_path / "none"}"')
    with started_box(box.file):
        box.up()
        assert "triage.packs" in ask(box.page, "/setup").text
        assert ask(box.page, "/healthz").json()["status"] == "degraded"


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    """Nothing runs but the page, until the way is free."""
    box = Box(tmp_path)
    box.home.write_text("a file in its place")
    with started_box(box.file):
        eventually(lambda: listening(box.page), "the page of safe mode")
        assert "home" in ask(box.page).text
        box.home.unlink()
        box.up()
