"""The status page: server-rendered, live, nothing from elsewhere."""
