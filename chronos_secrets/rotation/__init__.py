"""Replacing a credential without an outage: the engine, its journal, and the targets that it knows."""
