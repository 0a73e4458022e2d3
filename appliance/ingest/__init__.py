"""Reception: an instance is acknowledged only once it is durable."""
