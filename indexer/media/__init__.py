"""Read media files: photos, RAW and videos become pixels, texts become passages."""
