"""The starter encoder: a small vision transformer whose weights lie in this package, so that a
machine without internet has something worth post-training.

It is called `vit_starter_patch16_224`, like any other encoder. `python -m paka.starter FOLDER`
trains it anew, from images that `paka.scenes` draws and their image-level labels alone.
"""
