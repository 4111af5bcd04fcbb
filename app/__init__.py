"""Shows: the analysts' page on a run, in Streamlit. No mathematics here."""
