"""Writes a run's folder as training does, but quickly; its config says how it behaves."""

import argparse
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from paka.data.links import ENVIRONMENT
from paka.files import append_json_line, read_json, write_json
from paka.process import StopFlag
from paka.run_folder import EXIT_CODES, Outcome, RunFolder, step_folder

ENCODER = {"sha256": "ab" * 32, "bytes": 7}


def write_folder(folder, step):
    folder.mkdir(parents=True)
    (folder / "encoder.safetensors").write_bytes(b"weights")
    made = datetime.now(UTC).isoformat()
    files = {"encoder.safetensors": ENCODER}
    write_json(folder / "meta.json", {"step": step, "created_at": made, "files": files})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path)
    run = RunFolder(parser.parse_args().run)
    mode = read_json(run.config)["mode"]
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
        print(os.environ[ENVIRONMENT])  # to the run's train.log
    if mode == "skips" and not run.skipped.exists():
        for number in range(120):
            append_json_line(run.skipped, {"image": f"{number}.jpg", "reason": "is broken"})
    first = len(list(run.checkpoints.glob("step-*"))) + 1
    run.forget_metrics_after(first - 1)
    for step in range(first, 10_000 if mode in ("hang", "stubborn", "grandchild") else 4):
        run.append_metrics({"step": step, "total_steps": 3, "loss": 1 / step})
        if step < 4:
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


def end(run, outcome):
    run.write_outcome(outcome)
    return EXIT_CODES[outcome.outcome]


if __name__ == "__main__":
    sys.exit(main())
