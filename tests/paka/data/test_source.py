import tracemalloc

from paka.data.source import read_file


def test_reading_takes_no_more_memory_than_the_file_has(tmp_path):
    (tmp_path / "image.jpg").write_bytes(bytes(1000))
    tracemalloc.start()
    content = read_file(tmp_path / "image.jpg", "image.jpg")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(content) == 1000
    assert peak < 100_000
