"""Read the metadata of a file: EXIF, IPTC, XMP, and the tags of PNG and video."""
