"""Revaer: a torrent service for a home server, built from supervised actors around libtorrent."""

__version__ = "0.1.0"
