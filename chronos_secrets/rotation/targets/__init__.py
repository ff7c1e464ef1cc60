"""Where credentials are honoured, one module for each kind of place."""
