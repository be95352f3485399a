"""The process of an evaluation: `python -m paka.evaluate --run FOLDER`.

Reads config.json, writes report.json, report.md and report.html, and metrics.jsonl on the way.
Stopped or killed, it goes on from its last whole part. SIGTERM: leave as soon as may be. Exit
codes: 0 finished, 3 stopped, 1 error (what it was is in the run's outcome.json).
"""

import argparse
import logging
from pathlib import Path

from paka.process import StopFlag, die_in_silence, die_with_parent, leave, quick_imports

with quick_imports():
    from paka.evaluation.config import EvaluateConfig
    from paka.evaluation.run import Evaluation, Stopped
    from paka.explain import explain_evaluation
    from paka.run_folder import EXIT_CODES, Outcome, RunFolder

log = logging.getLogger("paka.evaluate")


def main(arguments: list[str] | None = None) -> int:
    """Do the run's job; how it ended is in outcome.json, and the exit code says so too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder with config.json")
    run = RunFolder(parser.parse_args(arguments).run)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    die_with_parent()
    die_in_silence()
    stop = StopFlag().install()
    with run.locked():
        run.forget_ending()
        outcome = evaluate(run, stop)
        run.write_outcome(outcome)
    return EXIT_CODES[outcome.outcome]


def evaluate(run: RunFolder, stop: StopFlag) -> Outcome:
    """Do what config.json says; whatever goes wrong becomes an outcome that says so."""
    try:
        config = EvaluateConfig.model_validate_json(run.config.read_text())
        Evaluation(config, run, stop).run()
    except Stopped:
        return Outcome("stopped", last_step(run))
    except Exception as error:
        log.exception("evaluation failed")
        return Outcome("failed", last_step(run), explain_evaluation(error))
    return Outcome("finished", last_step(run))


def last_step(run: RunFolder) -> int:
    """How far the evaluation was when it last said so."""
    rows = run.read_metrics()
    return int(rows[-1]["step"]) if rows else 0


if __name__ == "__main__":
    leave(main())
