"""A box with DICOMweb open, and a client of it that keeps one event loop, as the server does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.testclient import TestClient

from appliance.web.app import build_app
from tests.small_box import NOW, MakeBox, SmallBox
from tests.unit.appliance.dicomweb.stow import Web


@pytest.fixture
def web(make_box: MakeBox) -> Iterator[Callable[..., Web]]:
    """Opens DICOMweb on a box with these sections of its configuration."""
    with ExitStack() as stack:

        def opened(**sections: Any) -> Web:
            own = {"enabled": True, "opening_timeout_s": 600.0} | sections.pop("dicomweb", {})
            box: SmallBox = make_box(dicomweb=own, **sections)
            app = build_app(box.settings, box.engine, box.spool, lambda: NOW)
            client = TestClient(app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False)
            return Web(box, stack.enter_context(client))

        yield opened
