"""Makes the two pictures of the first page: `.venv/bin/python tests/pictures/make.py [FOLDER]`, in about two minutes.

`decision.jpg`: two pictures of `gated demo --record`; a resident, and a printed photograph of that person.
`screen.png`: the gate screen at a grant, in headless Chromium. All faces are rendered.
"""

import asyncio
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from gated.cues.cue import Situation
from gated.cues.screen import Screen
from gated.cues.words import Fitted
from gated.simulator.network import free_port

HERE = Path(__file__).parent
SHOWN_STEPS = ("01", "04")
"""The steps of the demo that are shown: the first resident, and a printed photograph of the same person."""
HALF = (480, 360)
RELEASE_S = 8.0


def decision(recorded: Path) -> Image.Image:
    """Return one picture of each shown step side by side. `recorded`: the folder of `gated demo --record`."""
    both = Image.new("RGB", (HALF[0] * len(SHOWN_STEPS), HALF[1]))
    for number, step in enumerate(SHOWN_STEPS):
        pictures = sorted(recorded.glob(f"{step}-*.jpg"))
        with Image.open(pictures[len(pictures) // 2]) as picture:
            both.paste(picture.resize(HALF, Image.Resampling.LANCZOS), (number * HALF[0], 0))
    return both


async def screen(browser_folder: Path) -> bytes:
    """Return a screenshot (PNG, 800 x 480) of the gate screen at a grant."""
    tools, port = _browser_tools(), free_port()
    shown = Screen(port, ("zh", "en"), Fitted())
    serving = asyncio.create_task(shown.run())
    try:
        with tools.browser(browser_folder) as url:
            async with tools.tab_in(url) as tab:
                await tab.go(f"http://127.0.0.1:{port}/")
                shown.show(Situation.OPEN, release=(RELEASE_S, RELEASE_S))
                await tab.until("document.body.dataset.situation === 'open'")
                await asyncio.sleep(1.0)
                picture: bytes = await tab.screenshot()
                return picture
    finally:
        serving.cancel()
        await asyncio.wait([serving])


def _browser_tools():
    """Import the browser tools of the tests of the gate screen."""
    spec = importlib.util.spec_from_file_location("browser_tools", HERE.parent / "cues/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(folder: Path) -> None:
    """Write both pictures into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        (folder / "screen.png").write_bytes(asyncio.run(screen(Path(work) / "browser")))
        recorded = Path(work) / "recorded"
        subprocess.run([sys.executable, "-P", "-m", "gated", "demo", "--record", str(recorded)], check=True)
        decision(recorded).save(folder / "decision.jpg", quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
