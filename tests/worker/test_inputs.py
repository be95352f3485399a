import hashlib

import pytest

from paka.errors import EncoderError
from service.store.bucket import Bucket, BucketError
from worker.inputs import fetch_inputs, fetch_weights

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
