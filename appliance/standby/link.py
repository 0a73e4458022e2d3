"""How the standby asks the first box: one exchange, and a named cause for every way it can fail."""

from __future__ import annotations

from contextlib import closing
from typing import Final

import httpx2
from pydantic import ValidationError

from appliance.standby.words import LARGEST_PULSE_BYTES, PULSE_PATH, NotTheFirst, Pulse, Word

_REPAIRS: Final = {
    401: "it does not accept our token; put the same token into both boxes' standby.token_file",
    404: "it expects no standby; give it the same token in its standby.token_file and start it again",
    413: "our word is too long for it; update the older box",
    421: "its page is open to its own machine only; set page.host on the first box",
    503: "it cannot read its database at the moment",
}


class NoPulse(Exception):
    """The first box gave no sound answer; the text says why, and what to do."""


class FirstBox:
    """The other box, as the standby sees it."""

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        """``timeout_s`` is the longest silence of one exchange."""
        self._client = httpx2.Client(trust_env=False, timeout=timeout_s)
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def exchange(self, word: Word, own_log: str) -> Pulse:
        """Say ``word`` and hear the first's pulse. Raises NoPulse."""
        try:
            status, body = self._ask(word.model_dump_json().encode())
        except httpx2.HTTPError as error:
            raise NoPulse(f"{self._url} cannot be reached ({type(error).__name__})") from error
        try:
            if status == 409:
                raise NoPulse(self._not_the_first(NotTheFirst.model_validate_json(body), own_log))
            if status != 200:
                raise NoPulse(f"{self._url}: {_REPAIRS.get(status, f'HTTP status {status} makes no sense here')}")
            pulse = Pulse.model_validate_json(body)
        except ValidationError:
            raise NoPulse(f"{self._url}: what answers there is no box of this version; look at standby.of") from None
        if pulse.log == own_log:
            raise NoPulse(f"{self._url} is this box itself; put the other box's address into standby.of")
        return pulse

    def _ask(self, content: bytes) -> tuple[int, bytes]:
        body = bytearray()
        with self._client.stream(
            "POST", self._url + PULSE_PATH, content=content, headers=self._headers, follow_redirects=False
        ) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST_PULSE_BYTES:
                    raise NoPulse(f"{self._url}: the answer is longer than any we understand")
            return response.status_code, bytes(body)

    def _not_the_first(self, answer: NotTheFirst, own_log: str) -> str:
        if answer.log == own_log:
            return f"{self._url} is this box itself; put the other box's address into standby.of"
        return f"{self._url} is itself a standby, of {answer.of}; remove standby.of on one of the two boxes"


def look(url: str, token: str, own_log: str, timeout_s: float) -> Pulse:
    """One exchange that changes nothing at the first. Raises NoPulse."""
    with closing(FirstBox(url, token, timeout_s)) as first:
        return first.exchange(Word(looks_only=True), own_log)
