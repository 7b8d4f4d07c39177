"""The only places that name implementations: they introduce ports and adapters to each other."""
