"""DICOMweb on the status page's server, under ``/dicom-web`` (PS3.18): what comes in goes through the same admission as
C-STORE, what goes out are the files as they came.

``service`` has the routes and ``door`` who may use them; ``body`` and ``store`` are STOW-RS, ``query``, ``search`` and
``headers_held`` QIDO-RS, ``retrieve`` and ``frames`` WADO-RS. This process never parses a received file itself: what
has to be read out of one is read by ``opening`` in the processes that ``readers`` runs and, if need be, ends.
"""
