"""Archives, and sending them."""

import io
import tarfile
import zipfile


def tar(entries, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def send(api, archive, name="mine", **fields):
    files = {"archive": ("photos.tar.gz", archive)}
    return api.post("/datasets", data={"name": name, **fields}, files=files)
