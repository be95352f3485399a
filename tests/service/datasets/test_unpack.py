import gzip
import io
import random
import struct
import tarfile
import zipfile

import pytest

from service.datasets.unpack import UnpackError, UnpackLimits, check_space, safe_path, unpack

LIMITS = UnpackLimits(100, 2**20, 2**22, 200, 0)
GOOD = {
    "images/train/a.jpg": b"a" * 5000,
    "images/b.PNG": b"b",
    "masks/train/a.png": b"m",
    "classes.txt": b"x\n",
}


def tar_of(path, entries, mode="w"):
    """Write an archive of names to contents, or of whole TarInfo objects."""
    with tarfile.open(path, mode) as tar:
        for entry in entries.items() if isinstance(entries, dict) else entries:
            info, content = entry if isinstance(entry, tuple) else (entry, b"")
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def zip_of(path, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for info, content in entries.items() if isinstance(entries, dict) else entries:
            file.writestr(info, content)
    return path


def special(name, kind, **values):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in values.items():
        setattr(info, key, value)
    return info


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "out" / "into"
    folder.mkdir(parents=True)
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if not path.is_dir()
    }


@pytest.mark.parametrize("make", ["tar", "tar.gz", "zip"])
def test_files_come_out_where_they_were(make, folder, tmp_path):
    archive = tmp_path / "archive"
    if make == "zip":
        zip_of(archive, GOOD)
    else:
        tar_of(archive, GOOD, "w:gz" if make == "tar.gz" else "w")
    made = unpack(archive, folder, LIMITS)
    assert contents(folder) == GOOD
    assert made == (4, 5004, 0)


@pytest.mark.parametrize("style", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_every_tar_format_is_read(style, folder, tmp_path):
    name = f"{'n' * 90}/{'m' * 80}/ä.jpg"
    with tarfile.open(tmp_path / "archive", "w", format=style) as tar:
        tar.addfile(tarfile.TarInfo(name))
    unpack(tmp_path / "archive", folder, LIMITS)
    assert contents(folder) == {name: b""}


def test_what_is_of_no_use_is_counted_and_left_out(folder, tmp_path):
    names = ("a.jpg", "run.sh", "x.gif", ".hidden.jpg", "__MACOSX/._a.jpg", ".git/b.png", "noext")
    made = unpack(tar_of(tmp_path / "t", dict.fromkeys(names, b"")), folder, LIMITS)
    assert contents(folder) == {"a.jpg": b""}
    assert made.ignored == 6


BAD_NAMES = [
    "../a.jpg",
    "a/../../b.jpg",
    "a/..",
    "/etc/a.jpg",
    "//a.jpg",
    "a\\b.jpg",
    "C:\\a.jpg",
    "a\nb.jpg",
    "a\x7f.jpg",
    "a\udcff.jpg",
    "a/" * 21 + "b.jpg",
    "x" * 201 + ".jpg",
    "y/" * 10 + ("z" * 195 + "/") * 5 + "a.jpg",
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_a_bad_name_is_refused(name, folder, tmp_path):
    with pytest.raises(UnpackError) as caught:
        safe_path(name)
    assert caught.value.code == "archive_unsafe"
    str(caught.value).encode()
    archive = tmp_path / "t"
    with tarfile.open(archive, "w", errors="surrogateescape") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(UnpackError) as caught:
        unpack(archive, folder, LIMITS)
    assert caught.value.code == "archive_unsafe"
    assert contents(folder.parent) == {}


@pytest.mark.parametrize(
    "name", ["a.jpg", "./a.jpg", "a//b.jpg", "a/./b..jpg", "ä/…/名.jpg", "..a"]
)
def test_a_good_name_stays_below(name):
    path = safe_path(name)
    assert not path.is_absolute()
    assert ".." not in path.parts


EVIL_ENTRIES = [
    special("a.jpg", tarfile.SYMTYPE, linkname="/etc/passwd"),
    special("a.jpg", tarfile.LNKTYPE, linkname="b.jpg"),
    special("a.jpg", tarfile.CHRTYPE, devmajor=1, devminor=3),
    special("a.jpg", tarfile.BLKTYPE),
    special("a.jpg", tarfile.FIFOTYPE),
    special("a", tarfile.SYMTYPE, linkname=".."),
    special("a.jpg", tarfile.GNUTYPE_SPARSE),
]


@pytest.mark.parametrize("entry", EVIL_ENTRIES, ids=range(len(EVIL_ENTRIES)))
def test_only_files_and_folders_are_taken_from_a_tar(entry, folder, tmp_path):
    archive = tar_of(tmp_path / "t", [("first.jpg", b"x"), entry, ("a/after.jpg", b"x")])
    with pytest.raises(UnpackError) as caught:
        unpack(archive, folder, LIMITS)
    assert caught.value.code in ("archive_unsafe", "archive_unreadable")
    assert contents(folder.parent).keys() <= {"into/first.jpg"}


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o010666, 0o140777])
def test_only_files_and_folders_are_taken_from_a_zip(mode, folder, tmp_path):
    info = zipfile.ZipInfo("a.jpg")
    info.external_attr = mode << 16
    with pytest.raises(UnpackError) as caught:
        unpack(zip_of(tmp_path / "z", [(info, b"/etc/passwd")]), folder, LIMITS)
    assert caught.value.code == "archive_unsafe"
    assert contents(folder.parent) == {}


@pytest.mark.parametrize(
    "names",
    [("a.jpg", "a.jpg"), ("a.jpg", "./a.jpg"), ("a.jpg", "a.jpg/b.jpg"), ("b.jpg/a.jpg", "b.jpg")],
)
def test_a_name_may_be_there_once(names, folder, tmp_path):
    archive = tar_of(tmp_path / "t", [(name, b"x") for name in names])
    with pytest.raises(UnpackError) as caught:
        unpack(archive, folder, LIMITS)
    assert caught.value.code == "archive_unsafe"


def test_limits_on_entries_bytes_and_each_files_bytes(folder, tmp_path):
    limits = UnpackLimits(3, 1000, 2500, 200, 0)
    many = {f"d{i}.txt": b"" for i in range(4)}
    large = {"a.jpg": b"x" * 1001}
    much = {f"{i}.jpg": b"x" * 900 for i in range(3)}
    for number, entries in enumerate((many, large, much)):
        for make in (tar_of, zip_of):
            target = folder / f"{make.__name__}{number}"
            target.mkdir()
            with pytest.raises(UnpackError) as caught:
                unpack(make(tmp_path / "archive", entries), target, limits)
            assert caught.value.code == "archive_too_large"
            assert sum(map(len, contents(target).values())) <= 2500


def test_lists_are_short(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("service.datasets.unpack.MAX_TEXT_BYTES", 100)
    with pytest.raises(UnpackError, match=r"labels\.csv' has more than 100 bytes"):
        unpack(
            tar_of(tmp_path / "t", {"a.jpg": b"x" * 200, "labels.csv": b"x" * 101}), folder, LIMITS
        )
    assert contents(folder) == {"a.jpg": b"x" * 200}


def test_a_bomb_is_stopped_by_its_ratio(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("service.datasets.unpack._SMALL", 2**16)
    limits = LIMITS._replace(ratio=20)
    archives = [
        zip_of(tmp_path / "z", {"a.jpg": bytes(2**20)}),
        tar_of(tmp_path / "t", {"a.jpg": bytes(2**20)}, "w:gz"),
        tar_of(tmp_path / "u", {"ignored.bin": bytes(2**26)}, "w:gz"),
    ]
    for archive in archives:
        with pytest.raises(UnpackError) as caught:
            unpack(archive, folder, limits)
        assert caught.value.code == "archive_too_large"
    assert contents(folder) in ({}, {"a.jpg": b""})


def test_a_zip_that_lies_about_a_size_is_stopped_while_it_unpacks(folder, tmp_path):
    archive = zip_of(tmp_path / "z", {"a.jpg": bytes(2**21)})
    data = archive.read_bytes()
    archive.write_bytes(data.replace(struct.pack("<I", 2**21), struct.pack("<I", 10)))
    with pytest.raises(UnpackError):
        unpack(archive, folder, LIMITS)
    assert sum(map(len, contents(folder).values())) <= LIMITS.file_bytes


def crafted_tar(*headers):
    return b"".join(headers) + bytes(1024)


def header(name=b"a.jpg", size=b"00000000000\0", kind=b"0"):
    block = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + size + b"00000000000\0"
    block += b" " * 8 + kind + bytes(100) + b"ustar\x0000" + bytes(512 - 265)
    block = block[:512].ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


NEGATIVE = b"\xff" * 11 + b"\x00"
HUGE = b"77777777777\0"
CRAFTED = {
    "nothing": b"",
    "zeros": bytes(10_240),
    "text": b"hello" * 1000,
    "a negative size": crafted_tar(header(size=NEGATIVE)),
    "minus one block": crafted_tar(header(size=b"\xff" * 10 + b"\xfe\x00")),
    "a negative long name": crafted_tar(header(size=NEGATIVE, kind=b"L")),
    "a huge long name": crafted_tar(header(size=HUGE, kind=b"L")),
    "a huge pax header": crafted_tar(header(size=HUGE, kind=b"x")),
    "a huge file": crafted_tar(header(size=HUGE)),
    "a thousand long names": crafted_tar(header(size=b"00000000000\0", kind=b"L") * 5000),
    "garbage after a file": header() + b"garbage" * 200,
    "no end": header(),
    "half a header": header()[:300],
    "gzip of nothing": gzip.compress(b""),
    "half a gzip": gzip.compress(crafted_tar(header()) * 100)[:60],
    "gzip of noise": b"\x1f\x8b" + random.Random(0).randbytes(1000),
    "zip of noise": b"PK\x03\x04" + random.Random(0).randbytes(1000),
    "an end of a zip": b"PK\x05\x06" + b"\xff" * 18,
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(100),
    "bzip2": __import__("bz2").compress(crafted_tar(header())),
    "xz": __import__("lzma").compress(crafted_tar(header())),
}


@pytest.mark.parametrize("data", CRAFTED.values(), ids=CRAFTED.keys())
def test_a_crafted_archive_is_refused(data, folder, tmp_path):
    archive = tmp_path / "archive"
    archive.write_bytes(data)
    if data == bytes(10_240):  # a tar with nothing in it
        assert unpack(archive, folder, LIMITS) == (0, 0, 0)
        return
    with pytest.raises(UnpackError) as caught:
        unpack(archive, folder, LIMITS)
    assert caught.value.code in ("archive_unreadable", "archive_unsafe", "archive_too_large")
    str(caught.value).encode()


def test_a_damaged_file_in_a_zip_is_refused(folder, tmp_path):
    archive = zip_of(tmp_path / "z", {"a.jpg": b"hello world"}, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"hello", b"jello"))
    with pytest.raises(UnpackError, match="CRC") as caught:
        unpack(archive, folder, LIMITS)
    assert caught.value.code == "archive_unreadable"


def test_an_encrypted_zip_is_refused(folder, tmp_path):
    archive = zip_of(tmp_path / "z", {"a.jpg": b"x"})
    data = bytearray(archive.read_bytes())
    for sign, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(sign) + offset] |= 1
    archive.write_bytes(data)
    with pytest.raises(UnpackError, match="encrypted"):
        unpack(archive, folder, LIMITS)


def test_a_disk_without_room_is_an_error_of_its_own(folder, tmp_path):
    limits = LIMITS._replace(reserve_bytes=2**60)
    with pytest.raises(UnpackError) as caught:
        unpack(tar_of(tmp_path / "t", GOOD), folder, limits)
    assert caught.value.code == "disk_full"
    check_space(folder, 1, 0)
    with pytest.raises(UnpackError, match="1,152,921,504,606,846,976 bytes"):
        check_space(folder, 2**60, 0)
