"""Every benchmark, one after another, as the markdown of docs/benchmarks.md.

    make bench SIZES="10000 100000" OBJECTS="1000000"

What `--write` names gets the tables between its two markers besides.
"""

from __future__ import annotations

import argparse
import io
import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

from cloud_requests import print_cloud_requests
from headers import print_headers
from local_export import print_local_export
from network_drive import print_network_drive
from planner import print_planner
from streaming import print_streaming
from tables import machine
from ways import print_ways

BEGIN, END = "<!-- make bench begins -->\n", "<!-- make bench ends -->\n"


class Tee(io.StringIO):
    """Keeps what is printed, and shows it meanwhile."""

    def write(self, text: str) -> int:
        sys.__stdout__.write(text) if sys.__stdout__ else None
        return super().write(text)

    def flush(self) -> None:
        if sys.__stdout__:
            sys.__stdout__.flush()


def main() -> None:
    """Measure all, and print it."""
    options = _options()
    printed = Tee()
    with redirect_stdout(printed):
        print(f"{datetime.now(UTC):%Y-%m-%d}, {machine()}.\n")
        print_headers(options.scale)
        print_local_export(options.sizes)
        print_ways(options.ways)
        print_network_drive(options.slow, options.repeats)
        print_streaming(options.events)
        print_planner(options.objects)
        print_cloud_requests(options.instances)
    if options.write:
        write_between_markers(options.write, printed.getvalue())


def write_between_markers(page: Path, text: str) -> None:
    """Put the text in the place of what is between the markers of the page. Raises ValueError if it has none."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no lines {BEGIN.strip()} and {END.strip()}; the tables would go between them")
    page.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure dicom-export, and print markdown.")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000], help="instances of local exports")
    parser.add_argument("--ways", type=int, default=4_000, help="instances of the folder of each way to export")
    parser.add_argument("--slow", type=int, default=3_000, help="instances of the folder on a slow disk")
    parser.add_argument("--repeats", type=int, default=3, help="how often each command on a slow disk is run")
    parser.add_argument("--objects", type=int, nargs="*", default=[1_000_000], help="objects of plans")
    parser.add_argument("--events", type=int, default=2_000, help="uploads that are streamed")
    parser.add_argument(
        "--instances", type=int, default=1_000, help="instances of the export whose requests are counted"
    )
    parser.add_argument("--scale", type=float, default=1, help="part of the headers to decode, up to 1")
    parser.add_argument("--write", type=Path, help="the page whose tables are replaced")
    return parser.parse_args()


if __name__ == "__main__":
    main()
