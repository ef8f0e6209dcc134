"""Every benchmark in turn, held against the ratios stored for a machine of this kind: more than 15 % off fails.

    python benchmarks/run.py [--rounds 5] [--only landing] [--store]

Seconds are told, ratios are kept: benchmarks/ratios.json. A ratio that has become better by so much fails too, so that
what is stored stays what is had: look at it, then --store. Full figures and pictures
go to --folder; with --store the pictures go to docs/pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from measuring import ROOT, machine

STORED = Path(__file__).resolve().parent / "ratios.json"
OFF = 0.15
PICTURES = ROOT / "docs" / "pictures"
DRAWN = {"scaling"}
# Rows are chosen so that start-up is a small part of what is measured.
BENCHMARKS = {
    "heavy_stage": ["--rows", "10000000"],
    "scaling": ["--rows", "10,50,200"],
    "landing": ["--rows", "5000000"],
    "small_stages": [],
    "orchestration": [],
    "widening": [],
    "explain": [],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", action="append", choices=BENCHMARKS, help="this one, and others named so")
    options.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / "figures", help="where full figures go")
    options.add_argument("--store", action="store_true", help="keep the ratios found as those to hold to")
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {"ratios": {}}
    found: dict[str, float] = {}
    for name in given.only or BENCHMARKS:
        print(f"\n{name}, {given.rounds} rounds", flush=True)
        found |= _run(name, given.rounds, given.folder, PICTURES if given.store else given.folder)
    print(f"\n{machine()}\nstored: {stored.get('machine', 'nothing')}\n")
    off = [name for name, ratio in sorted(found.items()) if _told(name, ratio, stored["ratios"].get(name))]
    if given.store:
        kept = {
            "machine": machine(),
            "rounds": given.rounds,
            "ratios": dict(sorted((stored["ratios"] | found).items())),
        }
        STORED.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\nstored in {STORED.relative_to(ROOT)}")
    elif off:
        sys.exit(f"\n{len(off)} of {len(found)} ratios more than {OFF:.0%} off what is stored: {', '.join(off)}")


def _run(name: str, rounds: int, folder: Path, pictures: Path) -> dict[str, float]:
    script, out = ROOT / "benchmarks" / f"{name}.py", folder / f"{name}.json"
    command = [sys.executable, str(script), "--rounds", str(rounds), "--out", str(out), *BENCHMARKS[name]]
    if name in DRAWN:
        command += ["--pictures", str(pictures)]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    ratios: Mapping[str, float] = json.loads(out.read_text(encoding="utf-8"))["ratios"]
    return {f"{name}: {way}": ratio for way, ratio in ratios.items()}


def _told(name: str, ratio: float, stored: float | None) -> bool:
    """Prints a ratio beside the one stored; True when it is too far off."""
    if stored is None:
        print(f"{name:52} {ratio:6.2f}  nothing stored")
        return False
    away = ratio / stored - 1.0
    off = abs(away) > OFF
    word = ("  WORSE" if away > 0 else "  BETTER: --store keeps it") if off else ""
    print(f"{name:52} {ratio:6.2f}  stored {stored:6.2f}  {away:+5.0%}{word}")
    return off


if __name__ == "__main__":
    main()
