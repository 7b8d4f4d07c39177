"""Files on a local disk: the resume store and a look at payload files."""

from revaer.adapters.filesystem.payload import LocalPayload
from revaer.adapters.filesystem.resume_store import CRASH_POINTS, FilesystemResumeStore

__all__ = ["CRASH_POINTS", "FilesystemResumeStore", "LocalPayload"]
