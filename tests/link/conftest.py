"""The box's end of a line is always where the test itself runs."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_web_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names lies in another network than these namespaces."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
