"""The configuration's own rules, section by section."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from appliance.settings import (
    Cloud,
    CloudEndpoint,
    Deidentification,
    Dicom,
    Pacs,
    Rule,
    Section,
    Settings,
    StowServer,
    Webhook,
    is_loopback,
)

PACS = {"name": "archive", "host": "10.0.0.5", "port": 104, "ae_title": "ARCHIVE"}


def test_the_defaults_are_valid_and_stay_on_this_machine() -> None:
    """Without a file the box listens on loopback, sends to nobody, and has the documented ports."""
    settings = Settings()
    assert (settings.dicom.ae_title, settings.dicom.port) == ("SCANSIDE", 11112)
    assert (settings.page.port, settings.cloud_endpoint.port) == (8080, 8443)
    assert all(is_loopback(one.host) for one in (settings.dicom, settings.page, settings.cloud_endpoint))
    assert settings.cloud.url is None
    assert settings.pacs == ()


@pytest.mark.parametrize(
    ("wrong", "repair"),
    [
        ({"options": ("clean_graphics",)}, 'write profile = "basic"'),
        ({"captures": True, "options": ()}, "needs the option clean_pixel_data"),
        ({"options": ("retain_full_dates",)}, "clean_pixel_data"),
    ],
)
def test_options_of_de_identification_have_to_fit(wrong: dict[str, Any], repair: str) -> None:
    """The allow-list has one option; captures need theirs; full dates cannot be kept."""
    with pytest.raises(ValidationError, match=repair):
        Deidentification.model_validate(wrong)
    assert Deidentification(profile="basic", options=("clean_graphics",)).captures is False


def sections(model: type[Section]) -> list[type[Section]]:
    """A section and those below it."""
    below = [field.annotation for field in model.model_fields.values()]
    inner = [one for one in below if isinstance(one, type) and issubclass(one, Section)]
    return [model, *(deeper for one in inner for deeper in sections(one))]


def test_every_key_describes_itself() -> None:
    """The reference of keys is made from the descriptions, so none may lack one."""
    every: list[type[Section]] = [*sections(Settings), Pacs, StowServer, Webhook, Rule]
    for section in every:
        for name, field in section.model_fields.items():
            nested = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
            assert nested or name in ("pacs", "stow", "webhook", "rule") or field.description, (
                f"{section.__name__}.{name}"
            )


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


@pytest.mark.parametrize("results", [[], ["reports"], ["report", "segmentation"]])
def test_results_are_those_that_are_made(results: list[str]) -> None:
    """An archive that gets nothing, or what nobody makes, is a mistake in the configuration."""
    with pytest.raises(ValidationError, match=r"pacs\.0\.results"):
        Settings.model_validate({"pacs": [PACS | {"results": results}]})


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
        ("dicom", {"private_sop_classes": ["1.2.840.10008.5.1.4.1.1.2"]}),
        ("dicom", {"private_sop_classes": ["1.2.03"]}),
        ("dicom", {"private_sop_classes": ["GE"]}),
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


NETWORK = {"host": "192.0.2.10"}
TLS = {"certificate": "box.pem", "private_key": "box.key", "client_ca": "ca.pem"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (NETWORK | {"peers": {"CT1": {}}}, "plain = true"),
        ({"peers": {"CT1": {"addresses": ["192.0.2.7/24"]}}}, "192.0.2.0/24"),
        ({"peers": {"CT1": {"addresses": ["ct1.example.org"]}}}, "192.0.2.7"),
        ({"peers": {"CT1": {"certificates": ["ct1"]}}}, "needs [dicom.tls]"),
        ({"tls": TLS, "peers": {"CT1": {"certificates": ["ct1"], "plain": True}}}, "remove one of the two"),
        ({"tls": TLS, "peers": {"CT1": {"certificates": ["sha256:abc"]}}}, "64 hexadecimal digits"),
        ({"tls": TLS | {"client_ca": None}}, "require_client_certificate = false"),
        ({"tls": TLS | {"port": 11112}}, "a port of its own"),
    ],
)
def test_what_no_peer_could_do_is_an_error(values: dict[str, Any], said: str) -> None:
    """Each with its repair."""
    with pytest.raises(ValidationError) as refused:
        Dicom.model_validate(values)
    assert said in str(refused.value)


def test_peers_share_titles() -> None:
    """Of two peers with one AE title the longer times count; an asterisk stands for any title."""
    peers = {"A": {"ae_title": "US1", "quiet_time_s": 5}, "B": {"ae_title": "US1", "quiet_time_s": 9}, "C": {}}
    dicom = Dicom.model_validate({"peers": peers})
    assert (dicom.quiet_time_for("US1"), dicom.quiet_time_for("C"), dicom.quiet_time_for("A")) == (9, 2, 2)
    anybody = Dicom.model_validate({"peers": {"any": {"ae_title": "*", "quiet_time_s": 7}}})
    assert anybody.quiet_time_for("US1") == 7


def test_a_digest_may_be_written_as_openssl_prints_it() -> None:
    """With colons and capitals."""
    printed = "sha256:" + ":".join(["AB"] * 32)
    dicom = Dicom.model_validate({"tls": TLS, "peers": {"CT1": {"certificates": [printed, "CT1.example.org"]}}})
    assert dicom.peers["CT1"].certificates == ("sha256:" + "ab" * 32, "ct1.example.org")


def test_only_a_certificate_with_its_key_goes_to_a_pacs() -> None:
    """One without the other is an error."""
    pacs = {"name": "archive", "host": "192.0.2.20", "port": 2762, "ae_title": "PACS"}
    with pytest.raises(ValidationError, match="private_key is missing"):
        Settings.model_validate({"pacs": [pacs | {"tls": {"certificate": "box.pem"}}]})


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
