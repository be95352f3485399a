"""Data sets: what the data roots hold, and uploads of archives of images."""
