"""What this program starts by a clock: the files of each timer, and how they get to their host."""
