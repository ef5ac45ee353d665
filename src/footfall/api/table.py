"""Every operation there is, in the order in which the documents show them."""

from footfall.api import (
    accounts,
    data,
    nclue,
    nsml_catalogue,
    nsml_data,
    nsml_projects,
    nsml_runs,
    nsml_storage,
    profiles,
    system,
)
from footfall.api.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *nclue.OPERATIONS,
    *profiles.OPERATIONS,
    *nsml_projects.OPERATIONS,
    *nsml_runs.OPERATIONS,
    *nsml_data.OPERATIONS,
    *nsml_catalogue.OPERATIONS,
    *nsml_storage.OPERATIONS,
    *accounts.OPERATIONS,
    *data.OPERATIONS,
    *system.OPERATIONS,
)
