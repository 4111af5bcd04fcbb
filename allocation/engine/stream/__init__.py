"""The same decisions for users who come in chunks: a few passes, in memory, out of core or on a cluster."""
