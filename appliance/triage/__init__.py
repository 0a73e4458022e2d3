"""From a complete study to a decision and everything it causes, in one transaction."""
