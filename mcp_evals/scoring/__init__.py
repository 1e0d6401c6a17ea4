"""Scores from transcripts and expectations. Pure: no model, no network, no store, no clock."""
