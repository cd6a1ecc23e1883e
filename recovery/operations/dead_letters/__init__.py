"""What is known of a dead letter: its type, its cause, its group, and what to do about it."""
