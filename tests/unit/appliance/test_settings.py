"""The configuration's own rules, section by section."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from appliance.settings import Cloud, CloudEndpoint, Dicom, Pacs, Section, Settings, StowServer, Webhook, is_loopback

PACS = {"name": "archive", "host": "10.0.0.5", "port": 104, "ae_title": "ARCHIVE"}


def test_the_defaults_are_valid_and_stay_on_this_machine() -> None:
    """Without a file the box listens on loopback, sends to nobody, and has the documented ports."""
    settings = Settings()
    assert (settings.dicom.ae_title, settings.dicom.port) == ("SCANSIDE", 11112)
    assert (settings.page.port, settings.cloud_endpoint.port) == (8080, 8443)
    assert all(is_loopback(one.host) for one in (settings.dicom, settings.page, settings.cloud_endpoint))
    assert settings.cloud.url is None
    assert settings.pacs == ()


def sections(model: type[Section]) -> list[type[Section]]:
    """A section and those below it."""
    below = [field.annotation for field in model.model_fields.values()]
    inner = [one for one in below if isinstance(one, type) and issubclass(one, Section)]
    return [model, *(deeper for one in inner for deeper in sections(one))]


def test_every_key_describes_itself() -> None:
    """The reference of keys is made from the descriptions, so none may lack one."""
    every: list[type[Section]] = [*sections(Settings), Pacs, StowServer, Webhook]
    for section in every:
        for name, field in section.model_fields.items():
            nested = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
            assert nested or name in ("pacs", "stow", "webhook") or field.description, f"{section.__name__}.{name}"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host: str) -> None:
    """Names and addresses of this machine."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "box", "localhost.example.org"])
def test_not_loopback(host: str) -> None:
    """Whatever else: a name that merely looks local is not."""
    assert not is_loopback(host)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8443", "https://cloud.example.org", "https://10.0.0.1:8443/x"])
def test_addresses_a_cloud_may_have(url: str) -> None:
    """Https anywhere, plain http on this machine."""
    assert Cloud(url=url).url == url


@pytest.mark.parametrize("url", ["http://10.0.0.1", "http://cloud.example.org:80", "http://localhost.evil.org"])
def test_plain_http_over_a_network_is_refused(url: str) -> None:
    """A token and patients' images do not travel in the clear."""
    with pytest.raises(ValidationError, match="plain http is for the loopback address only; use https"):
        Cloud(url=url)


@pytest.mark.parametrize("url", ["ftp://host", "cloud.example.org", "https://", "", "file:///etc/passwd"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """The message shows what an address looks like."""
    with pytest.raises(ValidationError, match="must look like https://host:port"):
        Cloud(url=url)


def test_an_endpoint_beyond_loopback_needs_tls() -> None:
    """Certificate and key together, or loopback."""
    with pytest.raises(ValidationError, match=r"host = '0.0.0.0' is beyond loopback and needs certificate"):
        CloudEndpoint(host="0.0.0.0")
    with pytest.raises(ValidationError, match="private_key is missing"):
        CloudEndpoint.model_validate({"certificate": "a.pem"})
    with pytest.raises(ValidationError, match="certificate is missing"):
        CloudEndpoint.model_validate({"private_key": "a.key"})
    files = {"host": "0.0.0.0", "certificate": "a.pem", "private_key": "a.key"}
    assert CloudEndpoint.model_validate(files).host == "0.0.0.0"


@pytest.mark.parametrize(
    ("names", "said"), [(["a", "a"], "name = 'a' is taken"), (["cloud"], "name = 'cloud' is taken")]
)
def test_destinations_have_names_of_their_own(names: list[str], said: str) -> None:
    """A name files deliveries; two destinations under one would mix them, and the cloud's is taken."""
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate({"pacs": [PACS | {"name": name} for name in names]})
    assert len(Settings.model_validate({"pacs": [PACS, PACS | {"name": "second"}]}).pacs) == 2


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("dicom", {"ae_title": "SEVENTEEN LETTERS"}),
        ("dicom", {"ae_title": "  "}),
        ("dicom", {"port": 70000}),
        ("dicom", {"quiet_time_s": -1}),
        ("dicom", {"max_pdu_bytes": 100}),
        ("limits", {"triage_attempts": 0}),
        ("limits", {"free_disk_floor_bytes": -1}),
        ("cloud", {"box_id": "a box"}),
        ("cloud", {"max_uploads": 0}),
        ("cloud", {"chunk_bytes": 1_000_000, "largest_chunk_bytes": 500_000}),
        ("cloud", {"most_kbit_per_s": 7}),
        ("cloud", {"bulk_from": "24:00", "bulk_until": "06:00"}),
        ("cloud", {"bulk_from": "22:00"}),
        ("cloud", {"bulk_from": "22:00", "bulk_until": "22:00"}),
        ("triage", {"out_of_scope": "routine"}),
    ],
)
def test_values_out_of_range_are_refused(section: str, values: dict[str, Any]) -> None:
    """Everything has limits; an image no pack is for can never be called routine by configuration."""
    with pytest.raises(ValidationError):
        Settings.model_validate({section: values})


def test_settings_cannot_be_changed_later() -> None:
    """What was validated is what runs."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().page.port = 1


def test_a_peer_overrides_only_what_it_names() -> None:
    """A peer with one time of its own keeps the other default."""
    dicom = Dicom.model_validate({"quiet_time_s": 2, "peers": {"US1": {"association_timeout_s": 300}}})
    assert (dicom.quiet_time_for("US1"), dicom.association_timeout_for("US1")) == (2, 300)
    assert (dicom.quiet_time_for("CR1"), dicom.association_timeout_for("CR1")) == (2, 60)
    zero = Dicom.model_validate({"peers": {"US1": {"quiet_time_s": 0}}})
    assert zero.quiet_time_for("US1") == 0


HOOK = {"name": "pager", "url": "https://pager.example.org/hook", "secret_variable": "PAGER_SECRET"}


def test_a_webhook_is_told_nothing_of_the_patient_unless_asked_to() -> None:
    """Both kinds of event, and the pseudonym."""
    (webhook,) = Settings.model_validate({"webhook": [HOOK]}).webhook
    assert (webhook.study, webhook.events) == ("pseudonym", ("study.decided", "study.amended"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://10.0.0.1/hook"}, "plain http"),
        ({"secret_variable": None}, "secret_file or secret_variable"),
        ({"secret_file": "/run/secret"}, "one of the two"),
        ({"events": ["study.lost"]}, "study.decided"),
        ({"events": []}, "at least 1"),
        ({"study": "name"}, "pseudonym"),
        ({"name": "cloud"}, "is taken"),
        ({"name": "archive"}, "is taken"),
    ],
)
def test_webhooks_that_are_refused(change: dict[str, Any], words: str) -> None:
    """Each with a sentence that says what is wrong."""
    with pytest.raises(ValidationError, match=words):
        Settings.model_validate({"pacs": [PACS], "webhook": [HOOK | change]})
