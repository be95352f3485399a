"""The formats of the answer to `POST /embed`."""

SAFETENSORS, NPY, JSON = "application/x-safetensors", "application/x-npy", "application/json"
FORMATS = (SAFETENSORS, NPY, JSON)
