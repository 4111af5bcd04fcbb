"""The pages: each loads, asks a function of the packages, and draws."""
