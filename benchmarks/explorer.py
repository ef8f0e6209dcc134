"""How long the explorer takes from a click to the picture, in a browser, in milliseconds.

    python benchmarks/explorer.py FOLDER   (what `dci explore --out FOLDER` wrote)

`shown` is until rows and headline are on the screen, `drawn` until every chart in sight is as well.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

_TURNS = 15
# A frame later, what was asked for is on the screen.
_STEP = """async (find) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  }));
  const [selector, at] = find;
  const element = document.querySelectorAll(selector)[at];
  const begin = performance.now();
  element.click();
  await frame();
  const shown = performance.now() - begin;
  await frame();
  await dciExplorer.settled();
  return [shown, performance.now() - begin];
}"""
_STEPS = {
    "sort by the name": (".rows thead .first button", 0),
    "sort by points": (".rows thead .number button", 2),
    "previous period": (".stepper button", 0),
    "next period": (".stepper button", 1),
    "choose a place": (".rows tbody input", 3),
}


def measured(folder: Path) -> dict[str, tuple[float, float]]:
    """Medians of [shown, drawn] by what was done, over months; another node is switched to once it is loaded."""
    found: dict[str, tuple[float, float]] = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True).new_page()
        page.goto(f"{(folder.absolute() / 'index.html').as_uri()}#freq={sys.argv[2] if len(sys.argv) > 2 else 'month'}")
        page.locator(".rows tbody th").first.wait_for()
        page.evaluate("() => dciExplorer.settled()")
        nodes = page.locator("[role=treeitem]").count()
        steps = {**_STEPS, "switch the node": ("[role=treeitem]", -1)}
        for name, (selector, at) in steps.items():
            turns: list[list[float]] = []
            for turn in range(_TURNS):
                place = at if at >= 0 else turn % min(2, nodes)
                turns.append(page.evaluate(_STEP, [selector, place]))
                page.wait_for_timeout(150)
            if at < 0:
                turns = turns[2:]  # until then they are read from disk
            shown, drawn = (statistics.median(column) for column in zip(*turns, strict=True))
            found[name] = (shown, drawn)
        browser.close()
    return found


if __name__ == "__main__":
    print(f"{'':24}{'shown':>8}{'drawn':>8}")
    for what, (shown, drawn) in measured(Path(sys.argv[1])).items():
        print(f"{what:24}{shown:8.0f}{drawn:8.0f}")
