"""What ``scanside serve`` decides before and while it runs: with which configuration, and which processes can start.

``in_force`` keeps a copy of the configuration that the box runs with; ``obstacles`` finds what that needs and is not
there; ``plan`` puts both together; ``standing`` is how the page and ``scanside status`` learn of it.
"""
