"""On which line a key stands, and what can be read of a file that is torn."""

from __future__ import annotations

import pytest

from appliance.toml_lines import Place, line_of, lines_of, read_before_error

TEXT = """home = "/a"
[dicom]  # ours
port = 1
[dicom.peers."CT 1"]
plain = true
[[pacs]]
name = "a"
[pacs.tls]
ca = "x"
[[pacs]]
name = "b"
tls.ca = "y"
results = [
  "report",
]
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("home",), 1),
        (("dicom",), 2),
        (("dicom", "port"), 3),
        (("dicom", "peers", "CT 1", "plain"), 5),
        (("pacs", 0, "name"), 7),
        (("pacs", 0, "tls", "ca"), 9),
        (("pacs", 1), 10),
        (("pacs", 1, "tls", "ca"), 12),
        (("pacs", 1, "results", 0), 13),
        (("pacs", 0, "host"), 6),
        (("page", "port"), None),
        ((), None),
    ],
)
def test_lines(place: Place, line: int | None) -> None:
    """Of a key, of a table, or of what is nearest around it."""
    assert line_of(place, lines_of(TEXT)) == line


def test_a_torn_file_is_read_up_to_its_error() -> None:
    """Where the home is can still be known."""
    assert read_before_error('home = "/a"\n[page]\nport = 9\n[cloud\nx = 1\n') == {"home": "/a", "page": {"port": 9}}
    assert read_before_error("= 1\n") == {}
    assert read_before_error('a = """\nnever closed\n') == {}
