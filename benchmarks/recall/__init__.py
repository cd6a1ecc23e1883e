"""Recall: whether the phrases that independent tools read in files are found in what the worker reads."""
