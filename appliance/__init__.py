"""The daemon beside the scanner. Its modules follow the path of an image:

``ingest`` (admit, receiver, watched folder) → ``triage`` (complete study → decision + deliveries, one transaction)
→ ``results`` (report, picture, PACS) and ``privacy`` (what may leave) → ``uplink`` (the outbox's lanes).
``web`` is the status page, ``supervisor`` keeps the processes alive, ``demo`` and ``bench`` exercise the whole.
"""
