"""Whether a location of Cloud Storage has a region."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# https://cloud.google.com/storage/docs/locations
_DUAL_REGIONS = {
    "ASIA1": {"asia-northeast1", "asia-northeast2"},
    "EUR4": {"europe-north1", "europe-west4"},
    "EUR5": {"europe-west1", "europe-west2"},
    "EUR7": {"europe-west2", "europe-west3"},
    "EUR8": {"europe-west3", "europe-west6"},
    "NAM4": {"us-central1", "us-east1"},
}
_MULTI_REGIONS = {"ASIA": "asia-", "EU": "europe-", "US": "us-"}
_NOT_IN_EU = {"europe-west2", "europe-west6"}


def has_region(location: str, regions: Collection[str], region: str) -> bool:
    """Say whether a bucket at the location has its data in the region. `regions` are those of a dual-region."""
    place = location.upper()
    if regions:
        return region in {each.lower() for each in regions}
    if place in _DUAL_REGIONS:
        return region in _DUAL_REGIONS[place]
    if place in _MULTI_REGIONS:
        return region.startswith(_MULTI_REGIONS[place]) and not (place == "EU" and region in _NOT_IN_EU)
    return place.lower() == region
