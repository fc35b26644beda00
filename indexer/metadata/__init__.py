"""What a file says about itself: EXIF, IPTC, XMP, and the tags of PNG and video."""
