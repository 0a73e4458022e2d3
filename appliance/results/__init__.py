"""What the box says about a study, and how it reaches the archive.

outcome.py    the decision as plain values, the one input of everything here
reference.py  patient and study of the original images, made safe to copy; UIDs that follow from the study
report.py     the decision as a DICOM structured report (TID 1500)
picture.py    the deciding image with its heat map, as a picture and as a secondary capture
pacs.py       C-STORE of a stored file to the archive
"""
