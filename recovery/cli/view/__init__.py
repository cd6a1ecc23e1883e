"""How results are displayed: tables, progress, reports. All untrusted text is escaped."""
