"""Sending dead letters to a queue: which queue is allowed, what is sent, and an order in which nothing is lost."""
