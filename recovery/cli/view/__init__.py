"""How results look on a terminal: tables, progress, reports. Every text of a stranger is made harmless first."""
