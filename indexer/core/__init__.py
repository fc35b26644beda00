"""Types, errors, file types, filters and text rules that all other packages use."""
