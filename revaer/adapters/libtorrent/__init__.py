"""The engine port on libtorrent 2.1.1; the only package that imports libtorrent."""
