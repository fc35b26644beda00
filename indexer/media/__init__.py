"""Files become pixels and passages: photos, RAW, videos, texts."""
