"""`python -m paka.starter FOLDER` trains the starter encoder from nothing, as `Recipe` says."""

import argparse
import logging
import sys
from pathlib import Path

from pydantic import ValidationError

from paka.starter.recipe import Recipe
from paka.starter.train import train_starter


def main(arguments: list[str] | None = None) -> int:
    """Train into a folder; settings that do not fit end it with 2 and a message."""
    parser = argparse.ArgumentParser(prog="python -m paka.starter", description=__doc__)
    parser.add_argument("folder", type=Path, help="for the scenes, the log and the weights")
    for name, field in Recipe.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        if name != "crop":
            help_text = f"{field.description} ({field.default})"
            parser.add_argument(flag, default=argparse.SUPPRESS, help=help_text)
    given = vars(parser.parse_args(arguments))
    folder = given.pop("folder")
    try:
        recipe = Recipe.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        parser.error(f"--{'-'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    print(train_starter(recipe, folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
