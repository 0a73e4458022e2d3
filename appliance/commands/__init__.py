"""What each command of the command line does; ``appliance.cli`` only parses and prints."""
