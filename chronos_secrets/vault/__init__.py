"""The KeePassXC file: its format, its entries, its password."""
