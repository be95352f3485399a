import socket

import psutil
import pytest

from service.store.settings import Settings
from worker.gpus import Gpu
from worker.slots import embed_reserve, environment, find_slots

GIB = 2**30
LARGE = Gpu("0", "GPU-a", 80 * GIB, 70 * GIB, "NVIDIA A")
SMALL = Gpu("1", "GPU-b", 16 * GIB, 2 * GIB, "NVIDIA B")


def test_each_gpu_is_a_slot_and_embedding_keeps_its_reserve():
    slots = find_slots([LARGE, SMALL], Settings(), {"GPU-b"})
    assert [tuple(slot) for slot in slots] == [
        ("GPU-a", "NVIDIA A", 80 * GIB, 70 * GIB),
        ("GPU-b", "NVIDIA B", 12 * GIB, 0),
    ]


def test_the_reserve_is_a_quarter_of_the_gpu_at_most():
    settings = Settings(embed_reserve_bytes=8 * GIB)
    assert [embed_reserve(gpu, settings) for gpu in (LARGE, SMALL)] == [8 * GIB, 4 * GIB]
    assert embed_reserve(LARGE._replace(total_bytes=None), settings) == 0


def test_without_gpus_there_are_as_many_slots_as_are_set():
    first, second = find_slots([], Settings(cpu_slots=2), ())
    assert (first.id, second.id) == tuple(f"{socket.gethostname()}/cpu-{n}" for n in (0, 1))
    assert first.device == "cpu"
    assert first.total_bytes == psutil.virtual_memory().total
    assert 0 < first.free_bytes < first.total_bytes


@pytest.mark.parametrize(
    ("slots", "processes", "cpu_slots", "expected"),
    [
        (["GPU-a", "GPU-b"], 2, 1, {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}),
        ([], 1, 1, {}),
        (["cpu-0"], 1, 1, {}),
        (["cpu-0"], 1, 2, {"OMP_NUM_THREADS": "4"}),
        (["cpu-0", "cpu-1"], 2, 4, {"OMP_NUM_THREADS": "2"}),
        (["cpu-0"], 4, 8, {"OMP_NUM_THREADS": "1"}),
    ],
)
def test_a_process_is_told_to_keep_to_its_slots(monkeypatch, slots, processes, cpu_slots, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    ids = [f"{socket.gethostname()}/{slot}" if slot.startswith("cpu") else slot for slot in slots]
    assert environment(ids, processes, Settings(cpu_slots=cpu_slots)) == expected
