"""The report page in a real browser: on a desk and on a telephone. Skipped where there is no Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import make_report
from tests.browser import CHROMIUM, browser
from tests.fixtures.scoring import scoring_tree as toy

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")

CONTRAST = """(() => {
  const part = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim()) continue;
    let back = node, colour;
    do { colour = rgb(getComputedStyle(back).backgroundColor); back = back.parentElement; }
    while (back && colour[3] === 0);
    if (colour[3] === 0) colour = [255, 255, 255];
    const pair = [luminance(colour), luminance(rgb(getComputedStyle(node).color))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    count += 1;
    if (ratio < 4.5) bad.push([node.tagName, node.className, ratio]);
  }
  return [count, bad];
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """Return the report of the toy corpus."""
    root = toy.build(tmp_path_factory.mktemp("toy"))
    toy.run(make_report, root / "data/toy", root / "exp/toy", "dnn1", "lstm_512", "sc")
    return root / "exp/toy_report/index.html"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_whole_readable_and_alone(page, tmp_path, width):
    with browser(tmp_path) as tab:
        tab.open(page, width)
        assert tab.value("innerWidth") == width
        assert tab.value("document.documentElement.scrollWidth") <= width  # tables scroll in themselves
        pictures = "[...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt.length > 10])"
        assert tab.value(pictures) and all(all(facts) for facts in tab.value(pictures))
        tab.value("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert tab.value("document.documentElement.scrollWidth") <= width
        count, bad = tab.value(CONTRAST)
        assert count > 200 and bad == []
        links = "[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))"
        assert tab.value(links)
        sent = [event for event in tab.events if event.get("method") == "Network.requestWillBeSent"]
        urls = {event["params"]["request"]["url"].partition(":")[0] for event in sent}
        assert len([event for event in sent if event["params"]["request"]["url"].startswith("file:")]) == 1
        assert urls <= {"file", "data"}
        spoken = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        assert [event for event in tab.events if event.get("method") in spoken] == []
