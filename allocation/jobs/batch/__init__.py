"""The nightly job: decisions for everybody in bounded memory, into a folder that is whole at any moment."""
