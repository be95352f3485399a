"""The list of images that a run has skipped, over its whole life."""

import json

import pytest
from PIL import Image

from paka.data.images import open_images
from paka.data.unreadable import SkippedImages, Unreadable, read_image
from paka.errors import DataError

ONE, OTHER = Unreadable("a/1.jpg", "is broken"), Unreadable("a/2.jpg", "is gone")


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_reading_tells_the_path_below_the_folder_and_the_reason(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "whole.png")
    (tmp_path / "broken.png").write_bytes(b"no")
    images = open_images(tmp_path)
    assert read_image(images, 1).size == (4, 4)
    assert read_image(images, 0) == Unreadable("broken.png", "is not an image that can be read")


def test_each_is_kept_once_over_several_starts(tmp_path):
    file = tmp_path / "skipped.jsonl"
    SkippedImages(file, 100, 0.05).add([ONE, ONE])
    SkippedImages(file, 100, 0.05).add([ONE, OTHER])
    assert lines(file) == [ONE._asdict(), OTHER._asdict()]


def test_one_more_than_the_share_is_an_error_that_lists_the_first_ones(tmp_path):
    skipped = SkippedImages(tmp_path / "skipped.jsonl", 500, 0.05)
    found = [Unreadable(f"{number}.jpg", "is broken") for number in range(26)]
    skipped.add(found[:25])
    with pytest.raises(DataError) as raised:
        skipped.add(found[25:])
    message = str(raised.value)
    assert message.startswith("26 of 500 images cannot be read, more than the share of 0.05")
    assert "0.jpg is broken; 1.jpg is broken" in message
    assert "19.jpg is broken; and 6 more" in message
    assert "20.jpg" not in message


def test_all_are_too_many_whatever_the_share(tmp_path):
    with pytest.raises(DataError, match=r"2 of 2"):
        SkippedImages(tmp_path / "skipped.jsonl", 2, 1.0).add([ONE, OTHER])
    SkippedImages(tmp_path / "others.jsonl", 3, 1.0).add([ONE, OTHER])


def test_images_of_earlier_starts_count(tmp_path):
    file = tmp_path / "skipped.jsonl"
    SkippedImages(file, 30, 0.05).add([ONE])
    with pytest.raises(DataError, match=r"2 of 30"):
        SkippedImages(file, 30, 0.05).add([OTHER])


def test_a_run_that_had_too_many_begins_its_list_anew(tmp_path):
    file = tmp_path / "skipped.jsonl"
    with pytest.raises(DataError):
        SkippedImages(file, 30, 0.05).add([ONE, OTHER])
    SkippedImages(file, 30, 0.05).add([OTHER])
    assert lines(file) == [OTHER._asdict()]


def test_a_process_that_does_not_write_counts_all_the_same(tmp_path):
    file = tmp_path / "skipped.jsonl"
    with pytest.raises(DataError):
        SkippedImages(file, 30, 0.05, writes=False).add([ONE, OTHER])
    assert not file.exists()
