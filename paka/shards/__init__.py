"""The features of a whole data set as files: shards in one of two formats, and an index.

`base` says what a shard holds, `safetensors` and `zarr` are the formats, and `reader` gives the
features back. Without torch.
"""
