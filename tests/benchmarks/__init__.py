"""Scripts that print one Markdown table each; run them from the repository's root."""
