"""A request for the features of one image."""

ENCODER = "test_vit@random"


def ask(api, image, accept=None, **fields):
    headers = {"Accept": accept} if accept else {}
    data = {"encoder": ENCODER, "size": "32", "resize": "stretch", **fields}
    return api.post("/embed", files={"images": ("a.png", image)}, data=data, headers=headers)
