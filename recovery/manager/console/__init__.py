"""The console: web pages on top of the manager, for people with a browser."""
