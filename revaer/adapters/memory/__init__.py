"""In-memory implementations of the ports of the world: doubles that keep the same contracts."""
