"""The machine under the box over time: ``machine_tables`` (what is kept), ``record`` (a row a minute, clock jumps)."""
