"""The node table: its buckets, their revalidation, and snapshots."""
