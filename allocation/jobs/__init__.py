"""Whole jobs over files: read, fit, decide, verify, write. Data frames and Parquet stop here."""
