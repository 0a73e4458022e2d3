"""What the box says about a study, and how it reaches the archive.

outcome.py    the decision as plain values, the one input of everything here
reference.py  patient and study of the original images, made safe to copy; UIDs that follow from the study
report.py     the decision as a DICOM structured report (TID 1500)
picture.py    the deciding image with its heat map, as a picture and as a secondary capture; bands.py: words beside it
amended_picture.py  the capture once more, with the full model's answer below
key_objects.py      which images are urgent, as a key object selection
parametric_map.py   the heat map as numbers
finding_codes.py    what findings are called in SNOMED CT and RadLex
pacs.py       C-STORE of a stored file to the archive
"""
