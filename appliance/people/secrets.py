"""Random tokens: what is handed out, and the digest that is all we keep of it."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

_BYTES: Final = 32


def new_secret(prefix: str = "") -> str:
    """256 random bits as text for cookies and headers."""
    return prefix + secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> str:
    """SHA-256, in hexadecimal. The secret is random, so nothing slower is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
