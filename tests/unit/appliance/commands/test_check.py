"""``scanside check``: each thing that is wrong is said, with what to do, and makes exit status 1."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from appliance.configuration import load_settings
from appliance.demo.stage import free_port
from appliance.disk.database_file import home_lock
from appliance.errors import ReceiveError
from appliance.home import Home, open_home
from appliance.ingest.admit import Admission
from appliance.results.probe_book import latest
from appliance.settings import Settings
from store_forward.database import reading, writing
from tests.certificates import Authority
from tests.dicom_factory import as_bytes
from tests.listening_webhook import SECRET
from tests.small_box import NOW, image
from tests.unit.appliance.commands.conftest import Ended, Scanside


def bad(ended: Ended) -> dict[str, str]:
    """What was found wrong."""
    return {row["what"]: row["detail"] for row in ended.rows if not row["ok"]}


def receive(home: Home, settings: Settings, content: bytes) -> None:
    """Take one file in."""
    temporary = home.spool.temporary()
    with home.spool.content(temporary).open("wb") as file:
        file.write(content)
    Admission(home.engine, home.spool, settings.limits, settings.dicom).admit(temporary, "SCANNER", NOW)


def test_a_healthy_box(scanside: Scanside, home: Home, settings: Settings) -> None:
    """Everything is looked at, all is well, exit status 0."""
    receive(home, settings, as_bytes(image()))
    ended = scanside("check", "--rehash", "--json")
    assert ended.status == 0, ended.out
    looked_at = {row["what"]: row["detail"] for row in ended.rows}
    assert set(looked_at) >= {"configuration", "cloud", "database", "disk", "site key", "spool", "set aside"}
    assert looked_at["spool"] == "1 files, all read back"
    assert looked_at["set aside"] == "none"
    assert any(name == "pack tiny" for name in looked_at)
    assert "ok   configuration: valid" in scanside("check").out


def test_a_missing_spool_file(scanside: Scanside, home: Home, settings: Settings) -> None:
    """A row without its file is found without reading files back."""
    receive(home, settings, as_bytes(image()))
    (path,) = [one for one in (home.spool.root / "objects").rglob("*") if one.is_file()]
    path.unlink()
    ended = scanside("check", "--json")
    assert ended.status == 1
    assert bad(ended) == {"spool": f"of 1 files, 1 missing ({path.name[:12]}); run scanside check --repair"}


def test_a_damaged_spool_file(scanside: Scanside, home: Home, settings: Settings) -> None:
    """A changed byte is found by --rehash, and only by it."""
    receive(home, settings, as_bytes(image()))
    (path,) = [one for one in (home.spool.root / "objects").rglob("*") if one.is_file()]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert scanside("check", "--json").status == 0
    ended = scanside("check", "--rehash", "--json")
    assert (ended.status, set(bad(ended))) == (1, {"spool"})


def test_repair_says_what_it_did_and_what_is_left_to_do(scanside: Scanside, home: Home, settings: Settings) -> None:
    """A lost image cannot be made again: status 1 once more, with whom to ask. After that the box is in order."""
    receive(home, settings, as_bytes(image()))
    receive(home, settings, as_bytes(image(seed="1")))
    path = next(one for one in (home.spool.root / "objects").rglob("*") if one.is_file())
    path.write_bytes(path.read_bytes()[:-1])
    orphan, left_over = home.spool.path(home.spool.keep_bytes(b"nobody's").digest), home.spool.temporary()
    for old in (orphan, left_over):
        os.utime(old, (1.0, 1.0))
    assert set(bad(scanside("check", "--json"))) == {"spool", "without a row", "left over"}
    ended = scanside("check", "--repair", "--json")
    assert ended.status == 1
    assert bad(ended) == {
        "spool": f"of 2 files, 1 truncated ({path.name[:12]}); what is left of them is in quarantine, "
        "and each is in its study's history; send these images again"
    }
    assert {row["what"] for row in ended.rows if row["repaired"]} == {"spool", "without a row", "left over"}
    again = scanside("check", "--json")
    assert again.status == 0, again.out
    rows = {row["what"]: row["detail"] for row in again.rows}
    assert rows["quarantine"] == "1 images or results are lost or damaged; their studies say so"
    assert {one.name[:12] for one in (settings.home / "quarantine").glob("*Z")} == {path.name[:12], orphan.name[:12]}


def test_a_torn_database_is_told_and_repaired(scanside: Scanside, home: Home, settings: Settings) -> None:
    """What a start would do by itself; every image has its row again, and nothing is wrong any more."""
    receive(home, settings, as_bytes(image()))
    home.engine.dispose()
    with (settings.home / "scanside.db").open("r+b") as file:
        file.write(b"torn")
    told = bad(scanside("check", "--json"))["database"]
    assert told.startswith("the file is damaged: file is not a database; a start of the box sets it aside")
    with home_lock(settings.home, alone=False):
        assert "stop the box, then" in bad(scanside("check", "--repair", "--json"))["database"]
    ended = scanside("check", "--repair")
    assert ended.status == 0, ended.out
    assert "DONE database: the file was damaged (file is not a database); it is kept in quarantine/" in ended.out
    assert "DONE taken up: 1 files of the spool have their rows again" in ended.out
    assert scanside("check", "--rehash").status == 0


def test_what_was_set_aside_is_counted(scanside: Scanside, home: Home, settings: Settings) -> None:
    """It is kept, so nothing is wrong, but it is said."""
    with pytest.raises(ReceiveError):
        receive(home, settings, b"no instance")
    rows = {row["what"]: row for row in scanside("check", "--json").rows}
    assert rows["set aside"]["ok"]
    assert rows["set aside"]["detail"] == "1 instances; the status page shows why"


def test_the_disk_under_its_floor(scanside: Scanside, config: Path) -> None:
    """With what happens next."""
    config.write_text(config.read_text().replace("floor_bytes = 0", f"floor_bytes = {1 << 60}"))
    found = bad(scanside("check", "--json"))
    assert found["disk"].endswith("make room, then reception goes on by itself")


def test_a_cloud_without_a_token(
    scanside: Scanside, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, empty, or there."""
    config.write_text(config.read_text() + '[cloud]\nurl = "https://cloud.example.org"\n')
    missing = bad(scanside("check", "--json"))["cloud"]
    repair = "scanside enrol, or set SCANSIDE_CLOUD_TOKEN or cloud.token_file"
    assert missing == f"neither certificate nor token for https://cloud.example.org: {repair}"
    monkeypatch.setenv("SCANSIDE_CLOUD_TOKEN", "t" * 20)
    assert scanside("check", "--json").status == 0
    (tmp_path / "token").write_text("")
    config.write_text(config.read_text() + f'token_file = "{tmp_path / "token"}"\n')
    assert "secret file is empty" in bad(scanside("check", "--json"))["cloud"]


def test_a_key_others_can_read(scanside: Scanside, home: Home) -> None:
    """The repair is a command."""
    assert scanside("check").status == 0
    home.site_key_path.chmod(0o644)
    assert f"chmod 600 {home.site_key_path}" in bad(scanside("check", "--json"))["site key"]


def test_a_database_of_another_version(scanside: Scanside, home: Home) -> None:
    """Nothing is done to it; the rest cannot be looked at."""
    with writing(home.engine) as connection:
        connection.execute(text("PRAGMA user_version = 99"))
    ended = scanside("check", "--json")
    assert ended.status == 1
    assert "schema version 99" in bad(ended)["database"]


def test_a_file_where_the_home_should_be(scanside: Scanside, tmp_path: Path) -> None:
    """A box that cannot make its home says so."""
    (tmp_path / "box").write_text("in the way")
    ended = scanside("check", "--json")
    assert ended.status == 1
    assert "File exists" in bad(ended)["database"] or "Not a directory" in bad(ended)["database"]


def test_an_altered_pack(scanside: Scanside, config: Path, tiny_packs: Path, tmp_path: Path) -> None:
    """With the file that is not what it was."""
    (tmp_path / "more" / "tiny").mkdir(parents=True)
    for file in (tiny_packs / "tiny").iterdir():
        (tmp_path / "more" / "tiny" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "more" / "tiny" / "golden.npz").write_bytes(b"?")
    config.write_text(config.read_text().replace(str(tiny_packs), str(tmp_path / "more")))
    assert "golden.npz is not the file the manifest names" in bad(scanside("check", "--json"))["pack tiny"]


def test_a_webhook_without_its_secret(scanside: Scanside, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said with how to make one; with it all is well."""
    hook = '[[webhook]]\nname = "pager"\nurl = "https://pager.example"\nsecret_variable = "PAGER_SECRET"\n'
    config.write_text(config.read_text(encoding="utf-8") + hook, encoding="utf-8")
    monkeypatch.delenv("PAGER_SECRET", raising=False)
    assert "PAGER_SECRET is not in the environment; make one with" in bad(scanside("check", "--json"))["webhook pager"]
    monkeypatch.setenv("PAGER_SECRET", SECRET)
    assert bad(scanside("check", "--json")) == {}


def test_dicomweb_beyond_loopback_without_a_token(
    scanside: Scanside, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On loopback it is said that none is asked for; and a server that gets results may need one, too."""
    monkeypatch.delenv("SCANSIDE_DICOMWEB_TOKEN", raising=False)
    before = config.read_text()
    server = '[[stow]]\nname = "web"\nurl = "https://archive.example.org"\ntoken_variable = "ARCHIVE_TOKEN"\n'
    config.write_text(f'{before}[dicomweb]\nenabled = true\n{server}[page]\nhost = "192.0.2.1"\n')
    found = bad(scanside("check", "--json"))
    assert "SCANSIDE_DICOMWEB_TOKEN" in found["dicomweb"]
    assert "ARCHIVE_TOKEN is not in the environment" in found["stow web"]
    config.write_text(f"{before}[dicomweb]\nenabled = true\n")
    rows = {row["what"]: row["detail"] for row in scanside("check", "--json").rows}
    assert rows["dicomweb"] == "open to this machine without a token"


def test_destinations_are_asked_only_when_told_to(scanside: Scanside, config: Path) -> None:
    """One line for each, with cause and repair; who asked is kept for the page."""
    archive = f'[[pacs]]\nname = "archive"\nhost = "127.0.0.1"\nport = {free_port()}\nae_title = "A"\n'
    config.write_text(config.read_text() + archive)
    assert not any(row["what"].startswith("asked") for row in scanside("check", "--json").rows)
    ended = scanside("check", "--destinations", "--json")
    said = bad(ended)["asked archive"]
    assert "pacs_unreachable: the archive cannot be reached or broke off after " in said
    assert said.endswith("look at host and port, whether the archive runs, and at the network and firewalls between")
    home = open_home(load_settings(config))
    with reading(home.engine) as connection:
        assert latest(connection)["archive"].asked_by == "scanside check"
    home.engine.dispose()


def test_a_certificate_that_has_ended_is_bad(scanside: Scanside, config: Path, tmp_path: Path) -> None:
    """With the key of the configuration that names it."""
    own = Authority(tmp_path).vouch("box", expired=True)
    files = f'certificate = "{own.certificate}"\nprivate_key = "{own.private_key}"\nrequire_client_certificate = false'
    config.write_text(config.read_text() + f"[dicom.tls]\n{files}\n")
    assert "has ended; renew it" in bad(scanside("check", "--json"))["certificate dicom.tls.certificate"]
    assert "dicom.tls.certificate" in scanside("status").out
