"""Somebody who reads a page and pastes its blocks, one after another, beside a running service."""

import contextlib
import io
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import httpx

from service.client import PakaClient
from tests.docs.blocks import Block

BIN = Path(sys.executable).parent
SHORT = Path(__file__).with_name("short")
WARM = Path(__file__).with_name("warm")
ENDED = ("succeeded", "failed", "cancelled")


class BlockFailed(AssertionError):
    """A block did not do what its page says that it does."""


class Reader:
    """Runs blocks in `folder`, where the service of `client` reads below `folder/data`."""

    def __init__(self, folder, home, client, warm, worker):
        self.folder, self.home, self.client, self.warm = folder, home, client, warm
        self.worker = worker
        self.names = {"__name__": "docs"}
        self.twins: dict[str, str] = {}

    def run(self, block: Block, later: str = "") -> None:
        """Run a block, whose jobs are cancelled unless the text of `later` blocks means them.

        Raises:
            BlockFailed: with page and line.
        """
        # The ids in a command are those of the answers before it.
        parts = [block.text] if block.language == "python" else list(commands(block.text))
        for number, part in enumerate(parts, start=1):
            text = self.localise(part, block.text)
            with self._holding_jobs(part):
                {"python": self._python, "sh": self._shell}[block.language](block, text)
                self._settle("\n".join([*parts[number:], later]))

    def localise(self, text: str, block: str = "") -> str:
        """A command as this reader types it: addresses, paths and ids of their own, short runs.

        Where its block speaks of a job and of an encoder, the job is the one that made the encoder.
        """
        here = self.client.base_url
        text = re.sub(
            r"https?://(localhost:8000|127\.0\.0\.1:8000|paka\.lab\.example)", str(here), text
        )
        text = re.sub(r"(localhost|127\.0\.0\.1):8000", f"{here.host}:{here.port}", text)
        text = re.sub(r"(?<![\w./…-])/(data|srv)/", rf"{self.folder}/\1/", text)
        text = text.replace(".venv/bin/", "")
        text = re.sub(r"(max_steps[\"']?\s*[:=]\s*)\d+", r"\g<1>2", text)
        if "enc_01" in text:
            text = re.sub(r"\benc_01\w*…", self._newest_encoder()["encoder"], text)
        if "job_01" in text:
            maker = self._newest_encoder()["job"] if "enc_01" in block else None
            text = re.sub(r"\bjob_01\w*…", maker or self._newest_job(text), text)
        if "runs/…" in text:
            runs = sorted((self.folder / "runs").iterdir(), key=lambda run: run.stat().st_mtime)
            text = text.replace("runs/…", f"runs/{runs[-1].name}")
        return text

    def _shell(self, block: Block, text: str) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
        )
        if done.returncode:
            raise BlockFailed(
                f"{block.place}: exit code {done.returncode}\n{text}\n{done.stdout}{done.stderr}"
            )

    def _python(self, block: Block, text: str) -> None:
        lines = "\n" * (block.line - 1)  # so that a traceback has the page's own line numbers
        try:
            code = compile(lines + text, str(block.page), "exec")
            with (
                patch.dict(os.environ, self.variables()),
                contextlib.chdir(self.folder),
                contextlib.redirect_stdout(io.StringIO()),
            ):
                exec(code, self.names)
        except Exception as error:
            place = f"{block.place} (line {_line_of(error, block)})"
            raise BlockFailed(f"{place}: {error!r}\n{text}") from error

    def environment(self) -> dict[str, str]:
        """What a shell of this reader's has: the commands, and curl that fails aloud."""
        (self.folder / ".curlrc").write_text("fail-with-body\nshow-error\n")
        shell = {"PATH": f"{WARM}:{BIN}:{os.environ['PATH']}", "PAKA_WARM": str(self.warm)}
        return os.environ | self.variables() | shell | {"PYTHONPATH": str(SHORT)}

    def variables(self) -> dict[str, str]:
        """Where the service is and lives, and this reader's own home."""
        return {
            "HOME": str(self.folder),
            "PAKA_HOME": str(self.home),
            "PAKA_KEY": "paka_of_an_open_server",
            "PAKA_URL": str(self.client.base_url).rstrip("/"),
        }

    def jobs(self, **query) -> list[dict]:
        """Jobs of the service, newest first."""
        return self.client.get("/jobs", params=query).raise_for_status().json()["data"]

    def _newest_job(self, text: str) -> str:
        """The last job; whoever wants its result, or resumes it, waits for its end."""
        job = self.jobs(limit=1)[0]
        if job["id"] in self.twins:
            return self.twins[job["id"]]
        if any(word in text for word in ("/report", "/features", "/resume")):
            self._wait(job)
        return job["id"]

    def _newest_encoder(self) -> dict[str, str]:
        """Ids of the last encoder that a training made, if need be one begun for this, and of that
        training.
        """
        made = self.jobs(kind="train", status="succeeded")
        if not made:
            running = [job for job in self.jobs(kind="train") if job["status"] not in ENDED]
            if not running:
                body = {"preset": "tiny", "dataset": str(self.folder / "data/photos")}
                running = [self.client.post("/train", json=body).raise_for_status().json()]
            made = [self._wait(running[-1])]
        return {"encoder": made[0]["encoder"], "job": made[0]["id"]}

    @contextlib.contextmanager
    def _holding_jobs(self, part: str) -> Iterator[None]:
        """Let a command submit jobs without one being taken before it is known to be meant.

        A worker that stands still this shortly is none that has died.
        """
        if "wait" in part or not re.search("train|evaluate|dataset", part):
            yield
            return
        self._suspend_worker()
        try:
            yield
        finally:
            self.worker.resume()

    def _suspend_worker(self) -> None:
        """Suspend it while it does not hold the database, which nobody else could write to then.

        A thread may still take the lock after the signal: it stops once it leaves the kernel.
        """
        while True:
            self.worker.suspend()
            while not _stands_still(self.worker.pid):
                time.sleep(0.001)
            try:
                with contextlib.closing(sqlite3.connect(self.home / "paka.db", timeout=1)) as base:
                    base.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                self.worker.resume()
                time.sleep(0.05)

    def _settle(self, later: str) -> None:
        """Cancel jobs that no later command means, and those of which there is a twin already.

        A twin is a job that was asked for the same, on this page or on another, and has succeeded:
        later commands get to see that one.
        """
        meant = re.split(r"/train|/evaluate", later)[0]
        wanted = "job_01" in meant or "enc_01" in meant
        for job in self.jobs(limit=100):
            if job["status"] in ENDED:
                continue
            done = self.jobs(kind=job["kind"], status="succeeded")
            twins = [each["id"] for each in done if each["config"] == job["config"]]
            if twins:
                self.twins[job["id"]] = twins[0]
            if twins or not wanted:
                self.client.post(f"/jobs/{job['id']}/cancel")

    def close(self) -> None:
        """Close the clients that blocks have made; scripts leave that to their end."""
        for client in self.names.values():
            if isinstance(client, PakaClient | httpx.Client):
                client.close()

    def _wait(self, job: dict) -> dict:
        deadline = time.monotonic() + 200
        while job["status"] not in ENDED:
            assert time.monotonic() < deadline, job
            time.sleep(0.2)
            job = self.client.get(f"/jobs/{job['id']}").raise_for_status().json()
        return job

    def leave(self) -> None:
        """Cancel what still runs and remove uploads; fails if a job has.

        Raises:
            BlockFailed: a job that the page has posted failed.
        """
        self._settle("")
        for job in self.jobs(limit=100):
            self._wait(job)
        for found in self.client.get("/datasets").json()["data"]:
            if found["source"] == "upload":
                self.client.delete(f"/datasets/{found['name']}")
        failed = [job for job in self.jobs(limit=100) if job["status"] == "failed"]
        for job in failed:
            self.client.delete(f"/jobs/{job['id']}")
        if failed:
            raise BlockFailed(f"jobs of the page failed: {[job['error'] for job in failed]}")


def commands(text: str) -> Iterator[str]:
    """The commands of a shell block, each with all its lines and without the remark behind it."""
    lines: list[str] = []
    for line in re.sub(r"(^|  )# .*$", "", text, flags=re.MULTILINE).splitlines():
        lines.append(line)
        command = "\n".join(lines)
        parsed = subprocess.run(["bash", "-n", "-c", command], capture_output=True)
        if parsed.returncode == 0 and not line.endswith("\\"):
            if command.strip():
                yield command
            lines = []
    if lines:
        yield "\n".join(lines)


def _stands_still(pid: int) -> bool:
    """Whether every thread of a suspended process has stopped."""
    try:
        stats = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):  # a thread that just ended
        return False
    return all(stat.rpartition(") ")[2].startswith("T") for stat in stats)


def _line_of(error: BaseException, block: Block) -> int:
    """The line of the page at which a block of Python failed."""
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    at, traceback = block.line, error.__traceback__
    while traceback:
        if traceback.tb_frame.f_code.co_filename == str(block.page):
            at = traceback.tb_lineno
        traceback = traceback.tb_next
    return at
