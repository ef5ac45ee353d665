"""Refuse new work when the disk is nearly full."""

import shutil

from footfall.api.http.errors import UNAVAILABLE, GatewayError
from footfall.config import Settings


def check_space(settings: Settings) -> None:
    """Refuse new work while the file system of the home directory is nearly full.

    Raises:
        GatewayError: 503.
    """
    free_mib = shutil.disk_usage(settings.home).free >> 20
    if free_mib < settings.min_free_mib:
        raise GatewayError(UNAVAILABLE, f"Only {free_mib} MiB are free on the server's disk; free some, then try again.")
