"""Store photos, videos and texts as vectors on disk, and find them again."""
