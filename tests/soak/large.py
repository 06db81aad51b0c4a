"""Large headers in the JSON schema, exported by the command on this machine: whole rows, bounded memory.

    python -m soak.large [--instances N] [--frames N] [--slide-frames N]

Exports enhanced MR instances, and then one whole-slide image of many frames alone. Prints a line of figures for each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from local_export import run
from support.command_line import rows
from support.multiframe import Frames, write_multiframe

MOST_MEGABYTES = 2_048
"""The most that an export may take together with its processes."""

SLIDE_FRAMES = 20_000

_WHOLE = """
    SELECT count(*), count(*) FILTER (json_array_length(Metadata, '$."52009230".Value') = {frames}),
        coalesce(max(strlen(Metadata::VARCHAR)), 0)
    FROM dicom
"""


def exported(root: Path, instances: int, frames: int, kind: Frames) -> tuple[str, list[str]]:
    """Export so many instances of so many frames; return a line of figures, and what is wrong."""
    folder, file = root / kind.name, root / f"{kind.name}.duckdb"
    write_multiframe(folder, instances, frames, kind)
    ran = run("export", folder, "--to", file, "--schema", "json")
    ((count, whole, longest),) = rows(file, _WHOLE.format(frames=frames))
    most, wrong = ran.peak >> 20, []
    if not count == whole == instances:
        wrong.append(f"{count:,} rows, {whole:,} of them whole, of {instances:,} instances: {ran.output}")
    if most > MOST_MEGABYTES:
        wrong.append(f"{most:,} MiB, more than {MOST_MEGABYTES:,}")
    line = f"{kind.value}, {instances:,} × {frames:,} frames: {whole:,} whole rows of up to {longest:,} bytes"
    return f"{line}; {ran.processor_seconds:,.1f} s of processor time; peak {most:,} MiB; {len(wrong)} wrong", wrong


def main() -> None:
    """Run the command line. Ends with an error if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=1_000)
    parser.add_argument("--frames", type=int, default=1_000)
    parser.add_argument("--slide-frames", type=int, default=SLIDE_FRAMES)
    options = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory(prefix="dicom-export-large-") as root:
        for instances, frames, kind in (
            (options.instances, options.frames, Frames.MR),
            (1, options.slide_frames, Frames.SLIDE),
        ):
            line, found = exported(Path(root), instances, frames, kind)
            sys.stdout.write(f"{line}\n")
            wrong += found
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
