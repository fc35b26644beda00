"""The SQLite catalog: what the library holds, and the filters that ask it."""
