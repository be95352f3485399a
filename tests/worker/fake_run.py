"""Writes a run's folder as training does, but quickly; its config says how it behaves."""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from paka.data.links import ENVIRONMENT
from paka.files import append_json_line, read_json, replacing_folder, write_json
from paka.process import StopFlag
from paka.run_folder import EXIT_CODES, Outcome, RunFolder, list_checkpoints, step_folder


def write_folder(folder, step, weights=b"weights"):
    folder.mkdir(parents=True)
    (folder / "encoder.safetensors").write_bytes(weights)
    made = datetime.now(UTC).isoformat()
    about = {"sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    files = {"encoder.safetensors": about}
    write_json(folder / "meta.json", {"step": step, "created_at": made, "files": files})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path)
    run = RunFolder(parser.parse_args().run)
    config = read_json(run.config)
    mode = config.get("modes", {}).get(os.environ.get("PAKA_NODE_RANK"), config["mode"])
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop = False
    else:
        stop = StopFlag().install()
    if mode == "grandchild":
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
        )
        (run.path / "grandchild").write_text(str(child.pid))
    if mode == "orphan":  # the shell between them has gone when the job goes on
        subprocess.run(["sh", "-c", 'sleep 600 & echo $! > "$0"', run.path / "orphan"], check=True)
    if mode == "environment":
        print(os.environ[ENVIRONMENT], "PAKA_DATABASE_URL" in os.environ, sep="\n")  # to train.log
    if mode == "credentials":  # to train.log
        print([name for name in os.environ if name.startswith(("AWS_", "PAKA_ARTIFACTS_URL"))])
    if mode == "skips" and not run.skipped.exists():
        for number in range(120):
            append_json_line(run.skipped, {"image": f"{number}.jpg", "reason": "is broken"})
    if mode == "prune":
        return train_until_stopped(run, stop)
    if mode == "chain":
        return train_a_chain(run, stop)
    first = len(list(run.checkpoints.glob("step-*"))) + 1
    run.forget_metrics_after(first - 1)
    for step in range(first, 10_000 if mode in ("hang", "stubborn", "grandchild") else 4):
        run.append_metrics({"step": step, "total_steps": 3, "loss": 1 / step})
        if step < 4:
            with run.phase("checkpoint", step):
                write_folder(step_folder(run.checkpoints, step), step)
        if mode == "skips":
            run.warn(step, "the disk is full")
            if first == 1 and step == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        if mode == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "failed" and step == 2:
            return end(run, Outcome("failed", step, "the loss is nan"))
        if mode == "a rank was killed" and step == 2:
            end(run, Outcome("failed", step, "connection closed by peer"))
            return 128 + signal.SIGKILL
        if stop or (mode == "told to stop" and step == 2):
            return end(run, Outcome("stopped", step))
        time.sleep(0.05)
    write_folder(run.final, 3)
    if mode == "evaluation failed":
        return end(run, Outcome("failed", 3, "no masks"))
    return end(run, Outcome("finished", 3))


def train_until_stopped(run, stop):
    """Write a checkpoint a step, of real size, and keep the last two."""
    done = list_checkpoints(run.checkpoints)
    step = int(done[-1].name.removeprefix("step-")) if done else 0
    run.forget_metrics_after(step)
    while not stop:
        step += 1
        run.append_metrics({"step": step, "total_steps": 10_000, "loss": 1 / step})
        content = {"encoder.safetensors": os.urandom(2**18), "state.pt": os.urandom(2**18)}
        with replacing_folder(step_folder(run.checkpoints, step)) as folder:
            for name, data in content.items():
                (folder / name).write_bytes(data)
            files = {
                name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
                for name, data in content.items()
            }
            made = datetime.now(UTC).isoformat()
            write_json(folder / "meta.json", {"step": step, "created_at": made, "files": files})
        for folder in list_checkpoints(run.checkpoints)[:-2]:
            shutil.rmtree(folder)
        time.sleep(0.02)
    return end(run, Outcome("stopped", step))


def train_a_chain(run, stop):
    """Each step's weights follow from those of the step before: a result tells all its past."""
    config = read_json(run.config)
    weights = Path(config["encoder"]["weights"])
    state = weights.read_bytes() if weights.is_file() else b"start"
    last = 0
    if done := list_checkpoints(run.checkpoints):
        last = int(done[-1].name.removeprefix("step-"))
        state = (done[-1] / "encoder.safetensors").read_bytes()
    run.forget_metrics_after(last)
    for step in range(last + 1, config["steps"] + 1):
        run.append_metrics({"step": step, "total_steps": config["steps"], "loss": 1 / step})
        print("step", step, flush=True)  # to train.log
        state = hashlib.sha256(state + b"%d" % step).digest()
        write_folder(step_folder(run.checkpoints, step), step, state)
        for folder in list_checkpoints(run.checkpoints)[:-2]:
            shutil.rmtree(folder)
        if stop:
            return end(run, Outcome("stopped", step))
        time.sleep(config["pause"])
    shutil.rmtree(run.final, ignore_errors=True)
    write_folder(run.final, config["steps"], state)
    return end(run, Outcome("finished", config["steps"]))


def end(run, outcome):
    run.write_outcome(outcome)
    return EXIT_CODES[outcome.outcome]


if __name__ == "__main__":
    sys.exit(main())
