"""The bucket and the user of the backups: what they should be, what they are, and what lies between."""
