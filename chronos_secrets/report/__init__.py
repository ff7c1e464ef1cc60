"""Results as tables and JSON. Knows nothing but what it is handed."""
