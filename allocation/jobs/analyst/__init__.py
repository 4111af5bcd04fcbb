"""What an analyst asks of a run: every budget, limits, comparisons, segments, evidence, export. The app draws it."""
