"""From the vault to a file: templates, dialects, destinations."""
