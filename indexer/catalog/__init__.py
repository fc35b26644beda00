"""The SQLite catalog: what the library contains, and the filters over it."""
