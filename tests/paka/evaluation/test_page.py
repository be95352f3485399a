import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from paka.evaluation.colours import class_colours
from paka.evaluation.config import EvaluateConfig
from paka.evaluation.datasets import open_labelled
from paka.evaluation.page import make_page
from paka.evaluation.report import Measurement, make_report
from paka.evaluation.report_schema import EncoderEntry
from paka.evaluation.scores import Finding, MeanIoU

NAMES = ("base", "<ours> & co")


@pytest.fixture(scope="module")
def val(labelled):
    return open_labelled(labelled).val


@pytest.fixture(scope="module")
def predictions():
    """What each encoder predicts for the four validation images."""
    return {name: np.full((4, 32, 32), index + 1, np.uint8) for index, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def page(labelled, val, predictions):
    """The page of a report on both encoders."""
    data = open_labelled(labelled)
    config = EvaluateConfig(encoders=("test_vit@random",), dataset=str(labelled), size=32)
    truth = np.stack([np.resize(val.read_mask(i), (32, 32)) for i in range(4)])
    entries, found = [], []
    for name, predicted in predictions.items():
        entries.append(EncoderEntry(name=name, reference="test_vit", weights_sha256="0"))
        score = MeanIoU.of(predicted, truth, 4, 4, "identity", "skip")
        finding = Finding({"miou_strict": score}, predicted, 1.0)
        found.append(Measurement(name, "in_context", 0, finding))
    report = make_report(config, data, entries, found, [])
    return make_page(report, val, found)


def pictures(page, kind):
    """The page's embedded images of one kind, in their order."""
    found = re.findall(rf"data:image/{kind};base64,([A-Za-z0-9+/=]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def test_each_row_shows_image_truth_and_every_prediction(page, val, predictions):
    photos, masks = pictures(page, "jpeg"), pictures(page, "png")
    assert (len(photos), len(masks)) == (4, 4 * 3)
    colours = class_colours(4)
    for index in range(4):
        with Image.open(val.images[index]) as original:
            difference = np.asarray(photos[index], int) - np.asarray(original.convert("RGB"))
        assert np.abs(difference).mean() < 12
        shown = [np.asarray(mask.convert("RGBA")) for mask in masks[3 * index : 3 * index + 3]]
        truth = val.read_mask(index)
        known = truth != 255
        np.testing.assert_array_equal(shown[0][known][:, :3], colours[truth[known]])
        assert (shown[0][..., 3] == np.where(known, 255, 0)).all()  # see-through if not labelled
        for mask, predicted in zip(shown[1:], predictions.values(), strict=True):
            assert mask.shape == (48, 64, 4)  # the photograph's shape again
            assert (mask[..., :3] == colours[predicted[0, 0, 0]]).all()


def test_the_page_needs_nothing_else_and_runs_nothing(page):
    assert "<script" not in page
    assert not re.search(r"\son\w+=", page)
    without_data = re.sub(r"data:image/\w+;base64,[A-Za-z0-9+/=]+", "data", page)
    assert "http" not in without_data
    assert set(re.findall(r'(?:src|href)="([^"]*)"', without_data)) == {"data"}
    assert set(re.findall(r"url\(([^)]*)\)", without_data)) == {"data"}


def test_the_page_is_whole_html_with_names_escaped(page):
    class Reader(HTMLParser):
        opened, text = [], []

        def handle_starttag(self, tag, attributes):
            if tag not in ("meta", "img", "input", "br"):
                self.opened.append(tag)

        def handle_endtag(self, tag):
            assert self.opened.pop() == tag

        def handle_data(self, data):
            self.text.append(data)

    reader = Reader()
    reader.feed(page)
    assert not reader.opened
    assert reader.text.count("<ours> & co") == 2 + 4 + 1  # both tables, rows, at the foot
    assert {"sky", "ground", "box", "not labelled"} <= set(reader.text)


def test_the_legend_names_only_classes_that_are_seen(page):
    legend = re.search(r'<ul class="legend">(.*?)</ul>', page)[1]
    assert "box" in legend
    assert "bird" not in legend
