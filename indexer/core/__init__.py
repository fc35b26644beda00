"""Plain types, errors, file types and the files and words that everything else stands on."""
