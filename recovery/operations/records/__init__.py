"""What operations leave behind: the archive, the audit, who holds dead letters just now, export files."""
