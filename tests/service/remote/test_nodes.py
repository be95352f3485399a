from service.client.schemas import Job, Node
from service.remote.jobs import _where


def test_a_job_of_several_nodes_names_each_ones_worker():
    first = Node(worker="a:1", slots=["GPU-0", "GPU-1"], state="running")
    other = Node(worker="b:1", slots=["GPU-7"], state="awaited")
    job = Job.model_construct(worker="a:1", nodes=[first, other])
    assert _where(job) == "a:1 (GPU-0 GPU-1, running); b:1 (GPU-7, awaited)"
    assert _where(Job.model_construct(worker="a:1", nodes=[])) == "a:1"
