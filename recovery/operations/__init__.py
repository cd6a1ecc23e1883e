"""What can be done about dead letters, as a library: no operation prints, prompts, exits or touches signals."""
