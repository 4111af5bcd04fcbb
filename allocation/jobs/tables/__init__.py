"""Response tables of any size, read block by block: files, schema, blocks, and predictions that stream."""
