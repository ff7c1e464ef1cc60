"""What joins two features: questions asked of the inventory and the vault together."""
