"""Notifications: who hears of which dead letters, in which words, through which channels, and when."""
