"""The promise under fire: servers are killed and stopped, connections are cut, and every update still counts once."""
