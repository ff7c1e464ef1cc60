"""The scanner stands alone: the standard library only, and nothing of the other rooms, so that a hook starts fast."""
