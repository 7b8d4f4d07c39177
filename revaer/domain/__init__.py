"""Values, commands, events and decisions; knows no library but pydantic."""
