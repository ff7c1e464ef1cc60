"""Doors to the outside that several features share."""
