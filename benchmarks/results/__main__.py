"""Train, measure, and write the tables: see the package's own text."""

import argparse
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.results import __doc__ as ABOUT
from benchmarks.results.baselines import colour_measurement
from benchmarks.results.evaluate import measure, measure_base
from benchmarks.results.experiments import EXPERIMENTS, MAIN, OWN, Experiment
from benchmarks.results.tables import by_encoder, by_metric, put
from benchmarks.results.train import seconds_of, trained_weights
from paka.encoder import DenseEncoder
from paka.evaluation.config import Protocol
from paka.evaluation.datasets import open_labelled
from paka.evaluation.inputs import split_inputs
from paka.evaluation.report import Measurement, make_results
from paka.scenes.dataset import write_scenes
from paka.starter.vit_starter import NAME

log = logging.getLogger("benchmarks.results")
DATA = ("clear", "murky", "camvid")
DOCUMENT = Path(__file__).parents[2] / "docs" / "results.md"
FULL: tuple[Protocol, ...] = ("in_context", "linear", "overclustering", "probes")
BRIEF: tuple[Protocol, ...] = ("in_context", "probes")
COLUMNS: tuple[tuple[Protocol, str], ...] = (
    ("in_context", "miou"),
    ("in_context", "miou_strict"),
    ("probes", "effective_rank"),
    ("probes", "view_agreement"),
    ("knn", "accuracy"),
)


def main() -> None:
    """Run the experiments that are still to be run, then write what there is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=ABOUT)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("var/results"))
    parser.add_argument("--seeds", type=int, default=3, help="training seeds (3)")
    parser.add_argument("--ablation-seeds", type=int, default=1, help="of the ablations (1)")
    parser.add_argument("--only", nargs="+", help="names of experiments (all)")
    parser.add_argument("--data", nargs="+", default=DATA, choices=DATA, help="which (all)")
    place = os.environ.get("PAKA_CAMVID", "../shared/data/camvid")
    parser.add_argument("--camvid", type=Path, default=Path(place), help="labelled photographs")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    chosen = [one for one in EXPERIMENTS if given.only is None or one.name in given.only]
    put(DOCUMENT, "machine", f"Measured on {describe()}.")
    places = {name: given.folder / "data" / name for name in ("clear", "murky")}
    for camera in ("clear", "murky"):
        if not places[camera].exists():
            write_scenes(places[camera], train=400, val=200, camera=camera)
    places["camvid"] = given.camvid.resolve()
    for name in given.data:
        folder = given.folder / name
        put(DOCUMENT, f"{name} baselines", _baselines(places[name], folder / "evaluation"))
        # On scenes like the starter's own there is nothing to adapt to: shown for the recipe alone.
        of_this = [one for one in chosen if one is MAIN or name != "clear"]
        seeds = {"main": given.seeds, "control": given.seeds, "ablation": given.ablation_seeds}
        _experiments(name, places, folder, of_this, seeds)


def _baselines(dataset: Path, folder: Path) -> str:
    """In-context mIoU of raw colours, of random weights, and of the starter."""
    references = {"random weights": f"{NAME}@random", "starter": NAME}
    found = measure_base(references, dataset, ("in_context",), folder)
    data = open_labelled(dataset)
    encoder = DenseEncoder(NAME).eval()
    train, val = (
        split_inputs(encoder, split, 224, cache=folder / "features")
        for split in (data.train, data.val)
    )
    colours = {"mean colour of a patch": 1, "4 x 4 colours of a patch": 4}
    found += [colour_measurement(name, data, train, val, n) for name, n in colours.items()]
    names = [*references, *colours]
    results = list(make_results(names, found, len(data.val)))
    return by_encoder(results, [*colours, *references], COLUMNS[:1])


def _experiments(
    name: str,
    places: dict[str, Path],
    folder: Path,
    chosen: Sequence[Experiment],
    seeds: dict[str, int],
) -> None:
    """One data set: its table of everything for PaKA, then that of controls and ablations.

    Image-level k-NN is always measured on clear scenes, whose settings the starter knows: it tells
    whether post-training on other images cost global understanding.
    """
    dataset, evaluation = places[name], folder / "evaluation"
    images = len(open_labelled(dataset).val)
    found: list[Measurement] = []
    done: list[Experiment] = []
    base = measure_base({"starter": NAME}, dataset, FULL, evaluation)
    guard = measure_base({"starter": NAME}, places["clear"], ("knn",), evaluation)
    for experiment in chosen:
        where = folder.parent if experiment is OWN else folder
        folders = [
            where / experiment.name / f"seed-{seed}" for seed in range(seeds[experiment.group])
        ]
        weights = [
            trained_weights(experiment, dataset / "images" / "train", seed, run)
            for seed, run in enumerate(folders)
        ]
        protocols = FULL if experiment is MAIN else BRIEF
        begun = time.monotonic()
        found += measure(experiment.title, weights, dataset, protocols, evaluation)
        if experiment.group != "ablation":
            guard += measure(experiment.title, weights, places["clear"], ("knn",), evaluation)
        done.append(experiment)
        trained = ", ".join(f"{seconds_of(run):.0f}" for run in folders)
        log.info(
            "%s on %s: trained in %s s, measured in %.0f s",
            experiment.title,
            name,
            trained,
            time.monotonic() - begun,
        )
        names = ["starter", *(one.title for one in done)]
        results = [
            *make_results(names, [*base, *found], images),
            *make_results(names, guard, len(open_labelled(places["clear"]).val)),
        ]
        main_results = [one for one in results if one.encoder in ("starter", MAIN.title)]
        if MAIN in done:
            put(DOCUMENT, name, by_metric(main_results, names[:2]))
        if len(done) > 1:
            put(DOCUMENT, f"{name} controls", by_encoder(results, names, COLUMNS))


if __name__ == "__main__":
    main()
