"""Answers and results as people and agents read them."""
