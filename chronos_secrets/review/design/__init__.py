"""`doctor design`: the traps of a design of backups, each judged from facts. What is not known is never a pass."""
