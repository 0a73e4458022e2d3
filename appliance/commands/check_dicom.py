"""The part of ``scanside check`` about associations: whether anybody may ask for one, and whether TLS can be had."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from appliance.commands.check_disk import CheckResult
from appliance.errors import ConfigurationInvalid
from appliance.settings import Dicom, DicomTls, Pacs, Settings
from appliance.tls import client_context, server_context, why

_RENEW_BEFORE_DAYS: Final = 30
_DAY_S: Final = 86_400.0


def dicom_results(settings: Settings) -> list[CheckResult]:
    """Who may call, then each certificate."""
    tls = [] if settings.dicom.tls is None else [_own_certificate(settings.dicom.tls, time.time())]
    return [_callers(settings.dicom), *tls, *(_to_pacs(peer) for peer in settings.pacs if peer.tls is not None)]


def _callers(dicom: Dicom) -> CheckResult:
    if dicom.lets_nobody_in is not None:
        return CheckResult("dicom", False, dicom.lets_nobody_in)
    if dicom.is_open:
        return CheckResult("dicom", True, f"anybody on this machine may send to {dicom.host}")
    return CheckResult("dicom", True, f"{len(dicom.peers)} peers may send")


def _own_certificate(tls: DicomTls, now: float) -> CheckResult:
    try:
        ends = _not_after(tls)
    except ConfigurationInvalid as invalid:
        return CheckResult("dicom tls", False, "; ".join(invalid.problems))
    except ssl.SSLError as error:
        return CheckResult("dicom tls", False, f"{tls.certificate}: {why(error)}; callers will not accept it; renew it")
    day = datetime.fromtimestamp(ends, UTC).date()
    if ends - now < _RENEW_BEFORE_DAYS * _DAY_S:
        return CheckResult("dicom tls", False, f"{tls.certificate} ends on {day}; renew it, no restart is needed")
    return CheckResult("dicom tls", True, f"certificate until {day}")


def _to_pacs(peer: Pacs) -> CheckResult:
    assert peer.tls is not None
    try:
        client_context(peer.tls, f"pacs {peer.name}")
    except ConfigurationInvalid as invalid:
        return CheckResult(f"pacs {peer.name}", False, "; ".join(invalid.problems))
    return CheckResult(f"pacs {peer.name}", True, "TLS files are usable")


def _not_after(tls: DicomTls) -> float:
    """When our certificate ends, epoch seconds: a handshake with ourselves in memory, which trusts it as it is.

    Raises:
        ConfigurationInvalid: a file is missing or does not fit.
        SSLError: nobody would accept it now, for example because it has ended.
    """
    ours = server_context(tls)
    ours.verify_mode = ssl.CERT_NONE
    caller = _trusting(tls.certificate)
    to_us, to_caller = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = ours.wrap_bio(to_us, to_caller, server_side=True)
    far = caller.wrap_bio(to_caller, to_us)
    for end in (far, near, far, near):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = far.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(shown["notAfter"])))


def _trusting(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cafile=certificate)
    return context
