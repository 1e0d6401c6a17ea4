"""Other people's files, read as our values: conversations of any provider, cases of other systems."""
