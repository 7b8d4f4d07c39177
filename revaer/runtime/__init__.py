"""Revaer's actors: thin, for what they decide lies in the domain or in pure parts beside them."""
