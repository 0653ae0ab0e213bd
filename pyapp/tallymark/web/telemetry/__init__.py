"""What the web server counts, logs and traces."""
