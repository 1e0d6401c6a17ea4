"""Judges at work: asked as targets, answered by whoever reads, and held against people. Knows no store and no run."""
