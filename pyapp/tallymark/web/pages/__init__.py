"""What people see in a browser: the documents that load the dashboard's scripts, signing in, and the API reference."""
