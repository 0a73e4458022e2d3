"""Store and forward: opaque bytes made safe on disk and carried onward, exactly once in effect.

- ``durable``       the one durable write: fsync, rename, fsync the folder
- ``room``          how much room the disk has, in four levels
- ``spool``         content-addressed files
- ``database``      SQLite, opened the one safe way
- ``deliveries``    the outbox's tables; ``outbox`` what may happen to a delivery
- ``destinations``  what is known about each peer
- ``backoff``       how long to wait before the next attempt
- ``protocol``      what box and cloud say to each other; ``uplink`` the box's side (``exchange`` one request
  of it), ``cloud`` the other side
"""
