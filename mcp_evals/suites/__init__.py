"""Suites on disk: read, checked, found, saved, imported. Import from the modules; this package loads nothing."""
