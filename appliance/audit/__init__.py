"""What happened and who did it: events after PS3.15 A.5 in a chain on the box, and over syslog where one listens."""
