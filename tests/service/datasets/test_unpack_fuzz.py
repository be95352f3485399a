"""Whatever an archive holds, only files below the folder come out, or an UnpackError."""

import gzip
import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from service.datasets.unpack import UnpackError, UnpackLimits, unpack

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")

LIMITS = UnpackLimits(files=30, file_bytes=10_000, total_bytes=50_000, ratio=100, reserve_bytes=0)
CODES = {"archive_unreadable", "archive_unsafe", "archive_too_large"}

pieces = st.sampled_from(
    ["a", "b.jpg", "c.png", "d.txt", "..", ".", "", "/", "//", "\\", "C:", "~", "..jpg", " ", "\n"]
) | st.sampled_from(
    ["\udcff", "\u202e", "ä", "x" * 120, "x" * 250 + ".jpg", ".hidden.jpg", "CON", "$HOME", "%2e"]
)
names = st.lists(pieces, min_size=1, max_size=6).map("/".join) | st.text(max_size=30)
kinds = st.sampled_from(
    [tarfile.REGTYPE] * 6
    + [tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
    + [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"V", b"Z"]
)
contents = st.binary(max_size=200) | st.integers(0, 60_000).map(bytes)
entries = st.lists(st.tuples(names, kinds, contents, names, st.integers(0, 0o177777)), max_size=8)


def make_tar(entries, style):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=style, errors="surrogateescape") as tar:
        for name, kind, content, target, mode in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, target, mode
            info.size = len(content) if kind in (tarfile.REGTYPE, tarfile.AREGTYPE) else 0
            try:
                tar.addfile(info, io.BytesIO(content))
            except (ValueError, UnicodeError):
                continue  # this format cannot say it
    return buffer.getvalue()


def make_zip(entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, _, content, _, mode in entries:
            info = zipfile.ZipInfo(name.replace("\0", "") or "x")
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            try:
                file.writestr(info, content)
            except (ValueError, UnicodeError):
                continue
    return buffer.getvalue()


@st.composite
def archives(draw):
    found = draw(entries)
    if draw(st.booleans()):
        return make_zip(found)
    style = draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]))
    made = make_tar(found, style)
    return gzip.compress(made, 1) if draw(st.booleans()) else made


def check(content):
    """Unpack between two files that must stay as they are."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder = root / "out" / "into"
        folder.mkdir(parents=True)
        (root / "archive").write_bytes(content)
        (root / "b.jpg").write_text("mine")
        (root / "out" / "b.jpg").write_text("mine")
        try:
            made = unpack(root / "archive", folder, LIMITS)
        except UnpackError as error:
            event(error.code)
            assert error.code in CODES
            str(error).encode()
        else:
            event("unpacked")
            files = [path for path in folder.rglob("*") if not path.is_dir()]
            assert (made.files, made.bytes) == (len(files), sum(f.stat().st_size for f in files))
        everything = list(root.rglob("*"))
        assert not [path for path in everything if path.is_symlink()]
        assert all(path.is_file() or path.is_dir() for path in everything)
        assert all(path.stat().st_nlink == 1 for path in everything if path.is_file())
        outside = {p.relative_to(root).as_posix() for p in everything if folder not in p.parents}
        assert outside == {"archive", "b.jpg", "out", "out/b.jpg", "out/into"}
        assert (root / "b.jpg").read_text() == (root / "out" / "b.jpg").read_text() == "mine"
        assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) <= 50_000
        assert sum(p.is_file() for p in folder.rglob("*")) <= LIMITS.files


@given(content=archives())
@settings(settings.get_profile("fuzz"))
def test_an_evil_archive_changes_nothing_outside(content):
    check(content)


@given(data=st.data())
@settings(settings.get_profile("fuzz"))
def test_a_changed_archive_changes_nothing_outside(mutated, data):
    seed = [("a/b.jpg", tarfile.REGTYPE, b"x" * 100, "", 0o100644)] * 1
    seed += [("c" * 150 + "/d.png", tarfile.REGTYPE, bytes(5000), "", 0o100644)]
    files = [make_tar(seed, tarfile.PAX_FORMAT), make_tar(seed, tarfile.GNU_FORMAT)]
    files += [make_zip(seed), gzip.compress(files[0], 9)]
    check(data.draw(mutated(files)))
