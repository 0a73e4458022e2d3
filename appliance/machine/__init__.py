"""The machine under the box over time.

``machine_tables`` (what is kept), ``record`` (a row a minute, and jumps of the clock), ``history`` (which packs read
when, and what the devices can do), ``cloud_clock`` (the cloud's clock beside ours).
"""
