"""What stands before a data set in a file, beside the library's."""

from __future__ import annotations

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom.dsutils import create_file_meta

from appliance.ingest.file_meta import file_head


@pytest.mark.parametrize("instance", ["1.2.3", "1.2.34", "1." + "2" * 62])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.4.90"])
def test_it_is_the_library_s(instance: str, syntax: str) -> None:
    """Bit for bit: an instance has one digest, whichever way it came in."""
    sop_class = "1.2.840.10008.5.1.4.1.1.2"
    library = DicomBytesIO()
    library.write(bytes(128) + b"DICM")
    meta = create_file_meta(sop_class_uid=UID(sop_class), sop_instance_uid=UID(instance), transfer_syntax=UID(syntax))
    write_file_meta_info(library, meta)
    assert file_head(sop_class, instance, syntax) == library.getvalue()
