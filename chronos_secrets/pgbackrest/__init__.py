"""pgBackRest: its configuration."""
