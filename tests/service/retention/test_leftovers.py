"""Files that nobody needs any more."""

import threading
from concurrent.futures import ThreadPoolExecutor

from service.retention.leftovers import remove


def test_two_who_remove_one_folder_at_once_do_not_mind_each_other(tmp_path):
    folder = tmp_path / "folder"
    for number in range(50):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "file").touch()
    barrier = threading.Barrier(2)

    def run():
        barrier.wait()
        remove(folder)

    with ThreadPoolExecutor(2) as threads:
        for one in [threads.submit(run) for _ in range(2)]:
            one.result(timeout=20)
    assert not folder.exists()


def test_of_a_link_only_the_link_is_removed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    remove(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
