import hashlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from paka.errors import EncoderError
from paka.files import read_json, write_json
from service.store.bucket import MARK, Bucket, BucketError
from worker.inputs import fetch_inputs, fetch_weights, use_folder

PATH = f"jobs/job_{'0' * 26}/final/encoder.safetensors"
SHA256 = hashlib.sha256(b"weights").hexdigest()
REFERENCE = f"artifact:{PATH}#{SHA256}"


@pytest.fixture
def here(bucket_url, tmp_path):
    """A host, whose bucket has the weights of a job that ran elsewhere."""
    elsewhere = Bucket(bucket_url, tmp_path / "elsewhere")
    file = elsewhere.folder / PATH
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    elsewhere.push(file)
    return Bucket(bucket_url, tmp_path / "here")


def test_weights_are_brought_here_wherever_a_config_names_them(here):
    file = str(here.folder / PATH)
    config = {
        "encoder": {"architecture": "test_vit", "weights": REFERENCE},
        "evaluate": {
            "encoders": [{"weights": file}, {"weights": "pretrained"}],
            "names": [REFERENCE],
        },
        "optim": {"batch_size": 4},
    }
    assert fetch_inputs(here, config) == {
        "encoder": {"architecture": "test_vit", "weights": file},
        "evaluate": {
            "encoders": [{"weights": file}, {"weights": "pretrained"}],
            "names": [REFERENCE],
        },
        "optim": {"batch_size": 4},
    }
    assert (here.folder / PATH).read_bytes() == b"weights"


@pytest.mark.parametrize("weights", ["pretrained", "random", "/data/mine.safetensors"])
def test_other_weights_stay_as_they_are(here, weights):
    assert fetch_weights(here, weights) == weights
    assert not here.folder.exists()


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (REFERENCE.replace("final", "gone"), "there are no weights"),
        (
            REFERENCE.replace(SHA256, "0" * 64),
            f"others by now.* has sha256 {SHA256} instead of 000",
        ),
    ],
)
def test_weights_that_are_gone_or_others_are_told(here, weights, words):
    with pytest.raises(EncoderError, match=words):
        fetch_weights(here, weights)


def test_no_reference_leads_out_of_the_jobs(here):
    weights = "artifact:jobs/../../../etc/passwd#0"
    assert fetch_weights(here, weights) == weights


def test_what_is_here_needs_no_bucket(here, away):
    found = fetch_weights(here, REFERENCE)
    away()
    assert fetch_weights(here, REFERENCE) == found
    with pytest.raises(BucketError):
        fetch_weights(here, REFERENCE.replace("final", "other"))


def test_jobs_that_need_the_same_folder_at_once_all_have_it(tmp_path):
    together = Barrier(4, timeout=5)

    def use(number):
        together.wait()
        use_folder(tmp_path / "jobs" / str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, (at // 4 for at in range(80))))
    folders = sorted((tmp_path / "jobs").iterdir())
    assert [folder.name for folder in folders] == sorted(map(str, range(20)))
    assert {read_json(folder / MARK) for folder in folders} == {0}


def test_a_job_that_begins_to_work_in_its_folder_keeps_its_mark(tmp_path, monkeypatch):
    folder = tmp_path / "jobs/job_01"

    def meanwhile(mark, attempt):
        folder.mkdir(exist_ok=True)
        write_json(folder / MARK, 3)
        write_json(mark, attempt)

    monkeypatch.setattr("worker.inputs.write_json", meanwhile)
    use_folder(folder)
    assert read_json(folder / MARK) == 3
    assert [path.name for path in folder.parent.iterdir()] == ["job_01"]
