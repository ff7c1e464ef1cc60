"""inventory.yaml: what we hold and what is made from it."""
