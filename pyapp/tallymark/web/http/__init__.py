"""What all routes share: reading requests, making answers, and the queue before them."""
