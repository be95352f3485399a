"""Procedural scenes with a class for every pixel: images that no licence clings to.

They train the starter encoder and serve as the labelled toy benchmark:
`python -m paka.scenes FOLDER` writes them as an ordinary data set.
"""
