"""The terminal: words, colours, prompts and exit status. The only room that knows click."""
