"""Rules on DICOM elements: `checks` when they are read, `conditions` of a header, `verdict` on image and study."""
