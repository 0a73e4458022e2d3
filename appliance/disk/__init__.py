"""The box's disk: how much room there is, how long it lasts, what is deleted when, and what is found damaged.

- ``tables``      what is written down about all of it
- ``room_watch``  the level of free disk, kept for every process and over a restart
- ``days``        what came in and went, by day; ``autonomy`` how long the disk lasts at that
- ``retention``   which study's files go; ``removals`` how a file goes
- ``database_file`` is the database whole; ``take_up`` a new one learns what the spool holds
- ``reconcile``   spool and rows side by side; ``quarantine`` where what is wrong goes; ``upkeep`` all of it at a start
"""
