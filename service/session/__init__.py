"""Signing a browser in: its key becomes a cookie, so that links, downloads and streams work too."""
