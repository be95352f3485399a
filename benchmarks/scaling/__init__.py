"""What time and memory become as there is more to do: images, jobs, pixels, crops, processes.

Each module measures one kind of work at sizes that grow, and yields a `growth.Growth` for it; the
exponent of its fit says whether cost grows faster than work.
"""
