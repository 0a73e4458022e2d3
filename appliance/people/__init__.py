"""Who may use the page: users, their passwords and sessions, tokens for programs, and what slows down guessing.

Nothing here knows of HTTP; ``appliance/web`` stands on it.
"""
