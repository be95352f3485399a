"""What the pages show of the code itself, made anew with every build of the site.

A page says `<!-- generated: NAME -->` where `hooks.py` puts a table; nothing of it is kept.
"""
