"""Sending dead letters on: which queue may get them, what is sent, and in which order nothing is lost."""
