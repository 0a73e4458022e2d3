"""What the hardware layer raises; the caller tries the next device and records the fall-back."""

from __future__ import annotations


class BackendUnavailable(Exception):
    """A backend or device cannot run this network: package missing, device missing, load or run failed."""
