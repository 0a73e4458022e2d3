"""Reading the configuration: every problem is named with key, value, reason and repair, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.configuration import load_settings, secret
from appliance.errors import ConfigurationInvalid


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine the tests run on."""
    for name in ("SCANSIDE_CONFIG", "SCANSIDE_HOME", "SCANSIDE_CLOUD_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def write(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "scanside.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> tuple[str, ...]:
    """What is said about a configuration that cannot be used."""
    with pytest.raises(ConfigurationInvalid) as invalid:
        load_settings(write(folder, text))
    assert invalid.value.source == str(folder / "scanside.toml")
    assert all(problem in str(invalid.value) for problem in invalid.value.problems)
    return invalid.value.problems


def test_without_a_file_the_defaults() -> None:
    """A box runs without any configuration."""
    assert load_settings(None).dicom.ae_title == "SCANSIDE"
    assert load_settings(None).home == Path("var")


def test_a_file_with_everything(tmp_path: Path) -> None:
    """Tables, lists of tables and tables per peer."""
    text = """
home = "/srv/box"
[dicom]
ae_title = "BOX1"
[dicom.peers.US1]
quiet_time_s = 30
[[pacs]]
name = "archive"
host = "10.0.0.5"
port = 104
ae_title = "ARCHIVE"
"""
    settings = load_settings(write(tmp_path, text))
    assert settings.home == Path("/srv/box")
    assert settings.dicom.quiet_time_for("US1") == 30
    assert settings.pacs[0].ae_title == "ARCHIVE"


def test_environment_names_file_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SCANSIDE_CONFIG stands in for --config, and SCANSIDE_HOME goes before the file's home."""
    monkeypatch.setenv("SCANSIDE_CONFIG", str(write(tmp_path, 'home = "/a"\n[page]\nport = 9\n')))
    assert load_settings(None).page.port == 9
    monkeypatch.setenv("SCANSIDE_HOME", "/b")
    assert load_settings(None).home == Path("/b")
    other = tmp_path / "other.toml"
    other.write_text("[page]\nport = 10\n", encoding="utf-8")
    assert load_settings(other).page.port == 10


@pytest.mark.parametrize(
    ("text", "key", "value", "reason", "repair"),
    [
        ("[dicom]\nport = 70000", "dicom.port", "70000", "less than or equal to 65535", "correct it"),
        ('[dicom]\nport = "x"', "dicom.port", "'x'", "valid integer", "remove the line for the default"),
        ('[dicom]\nae_title = ""', "dicom.ae_title", "''", "at least 1 character", "correct it"),
        ('[cloud]\nurl = "http://10.0.0.1"', "cloud.url", "'http://10.0.0.1'", "plain http is for", "use https"),
        ('[cloud]\nbox_id = "a b"', "cloud.box_id", "'a b'", "match pattern", "correct it"),
        ('[triage]\nout_of_scope = "x"', "triage.out_of_scope", "'x'", "'not_triaged' or 'escalate'", "correct it"),
        ('[cloud_endpoint]\nhost = "0.0.0.0"', "cloud_endpoint", "'0.0.0.0'", "beyond loopback", "needs certificate"),
        ("[limits]\nmax_pixels = 0", "limits.max_pixels", "0", "greater than or equal to 1", "correct it"),
    ],
)  # fmt: skip
def test_a_wrong_value(tmp_path: Path, text: str, key: str, value: str, reason: str, repair: str) -> None:
    """Key, value, reason, repair."""
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(key)
    assert all(part in problem for part in (value, reason, repair))


def test_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    """A misspelt key must not be taken for one that is set; its value may be a secret and is not repeated."""
    (problem,) = problems(tmp_path, '[cloud]\ntoken = "hush"')
    assert problem.startswith("cloud.token: there is no such key")
    assert "docs/reference/configuration.md" in problem
    assert "hush" not in problem


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    """A PACS without an address."""
    found = problems(tmp_path, '[[pacs]]\nname = "a"\nport = 104\nae_title = "A"')
    assert found == ("pacs.0.host: is missing; add it (line 1)",)


def test_duplicate_pacs_names(tmp_path: Path) -> None:
    """Which name is taken, and what is wanted instead; the PACS's addresses are not poured out."""
    peer = '[[pacs]]\nname = "a"\nhost = "10.9.9.9"\nport = 104\nae_title = "A"\n'
    (problem,) = problems(tmp_path, peer * 2)
    assert problem.startswith("pacs: name = 'a' is taken; every [[pacs]], [[stow]] and [[webhook]] needs a name")
    assert "10.9.9.9" not in problem


def test_all_problems_at_once(tmp_path: Path) -> None:
    """A person corrects the file once, not once per mistake."""
    text = "[dicom]\nport = -1\nfoo = 1\n[page]\nport = 99999\n[limits]\ntriage_attempts = 0\n"
    assert {p.split(" ")[0].rstrip(":") for p in problems(tmp_path, text)} == {
        "dicom.port",
        "dicom.foo",
        "page.port",
        "limits.triage_attempts",
    }


def test_a_missing_file(tmp_path: Path) -> None:
    """The message names the path and the option."""
    with pytest.raises(ConfigurationInvalid, match=r"no such file; give --config") as invalid:
        load_settings(tmp_path / "none.toml")
    assert str(tmp_path / "none.toml") in str(invalid.value)


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    """What cannot be read says why."""
    with pytest.raises(ConfigurationInvalid, match=r"cannot be read: .*Is a directory"):
        load_settings(tmp_path)


def test_secret_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file goes before the environment, without the line end an editor adds."""
    monkeypatch.setenv("A_TOKEN", "from the environment")
    path = tmp_path / "token"
    path.write_text("from the file\n", encoding="utf-8")
    assert secret(path, "A_TOKEN") == "from the file"
    assert secret(None, "A_TOKEN") == "from the environment"


def test_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a file nor a variable, or an empty one, is no secret."""
    monkeypatch.delenv("A_TOKEN", raising=False)
    assert secret(None, "A_TOKEN") is None
    monkeypatch.setenv("A_TOKEN", "")
    assert secret(None, "A_TOKEN") is None


def test_a_secret_file_that_cannot_be_used(tmp_path: Path) -> None:
    """Missing or empty: the file is named, and what to do; the box does not start without what it was told to use."""
    with pytest.raises(ConfigurationInvalid, match="secret cannot be read: No such file"):
        secret(tmp_path / "none", "A_TOKEN")
    (tmp_path / "empty").write_text(" \n", encoding="utf-8")
    with pytest.raises(ConfigurationInvalid, match="secret file is empty; put the token in it"):
        secret(tmp_path / "empty", "A_TOKEN")


RULE = """
[[pacs]]
name = "archive"
host = "10.0.0.5"
port = 104
ae_title = "ARCHIVE"
[[rule]]
name = "qa"
"""


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('triage = "exclude"', "it has neither match nor senders"),
        ("senders = ['SEVENTEENLETTERS17']\ntriage = 'exclude'", "at most 16 characters"),
        ('match = {}\ntriage = "exclude"', "there is no condition"),
        ('match = { PatientId = "QA*" }\ntriage = "exclude"', "did you mean PatientID?"),
        ('match = { Zzzzzzzz = "QA*" }\ntriage = "exclude"', "is no DICOM keyword; see PS3.6"),
        ('match = { PixelData = true }\ntriage = "exclude"', "does not stand in the header"),
        ("match = { PatientID = [] }\ntriage = 'exclude'", "PatientID = [] can never hold"),
        ("match = { PatientID = '' }\ntriage = 'exclude'", "give false for an element without a value"),
        ("match = { StudyDate = 2026-01-01 }\ntriage = 'exclude'", "put it in quotes"),
        ("match = { Modality = { CodeValue = '1' } }\ntriage = 'exclude'", "Modality is no sequence"),
        ("match = { ProcedureCodeSequence = '1' }\ntriage = 'exclude'", "ProcedureCodeSequence is a sequence"),
        ("match = { ProcedureCodeSequence = { Codevalue = '1' } }\ntriage = 'exclude'", "did you mean CodeValue?"),
        ("match = { EncapsulatedDocument = 'x' }\ntriage = 'exclude'", "EncapsulatedDocument holds bytes"),
        ("match = { Modality = 'CT' }", "it says nothing; give triage, send_to or priority"),
        ("match = { Modality = 'CT' }\ntriage = 'skip'", "rule.0.triage = 'skip'"),
        ("match = { Modality = 'CT' }\npriority = 'high'", "rule.0.priority = 'high'"),
        ("match = { Modality = 'CT' }\nsend_to = ['archiv']", "'archiv', which is no [[pacs]] or [[stow]]; there"),
        ("match = { Modality = 'CT' }\ntriage = 'phantom'\nsend_to = ['archive']", "of a phantom nothing is sent"),
        ("match = { Modality = 'CT' }\ntriage = 'exclude'\n[[rule]]\nname = 'qa'\nmatch = { Modality = 'MR' }\n"
         "triage = 'exclude'", "name = 'qa' is taken"),
    ],
)  # fmt: skip
def test_rules_that_make_no_sense(tmp_path: Path, rule: str, said: str) -> None:
    """Each is one problem, under its key, with the repair."""
    (problem,) = problems(tmp_path, RULE + rule)
    assert problem.startswith("rule")
    assert said in problem


def test_rules_that_make_sense(tmp_path: Path) -> None:
    """Texts, numbers, lists, presence and sequences, in the order of the file."""
    text = """
match = { PatientID = ["QA*", "TEST*"], Rows = 512, StationName = true, ProcedureCodeSequence = { CodeValue = "1" } }
triage = "phantom"
[[rule]]
name = "er"
match = { StationName = "ER?" }
send_to = ["archive"]
priority = "urgent"
"""
    rules = load_settings(write(tmp_path, RULE + text)).rule
    assert [rule.name for rule in rules] == ["qa", "er"]
    assert rules[1].send_to == ("archive",)
