"""What we need of the machine: processes that die with us, free ports, files that only their owner can read."""
