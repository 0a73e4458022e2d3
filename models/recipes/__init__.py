"""How the shipped packs were made: run with ``make lab``, not needed on a box."""
