"""The promise: any order, any repeats, any number of connections, one state."""
