"""What Revaer tells of itself: logs."""

from revaer.adapters.telemetry.logs import configure_logs

__all__ = ["configure_logs"]
