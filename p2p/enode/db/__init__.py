"""The node database: nodes in memory, stored in an SQLite file."""
