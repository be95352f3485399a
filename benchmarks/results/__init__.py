"""Does PaKA help? The starter encoder before and after, controls and ablations.

    python -m benchmarks.results [FOLDER] [--seeds 3] [--only NAME ...] [--camvid PATH]

Trains every experiment of `experiments.py` on procedural scenes and on CamVid's training images,
without their labels, once for each seed, evaluates each with `paka.evaluation`, and writes the
tables of docs/results.md. What is done is kept in FOLDER: an interrupted run goes on.
"""
