"""What Revaer needs from the world, and what its faces need from Revaer: one Protocol a file."""
