"""Every operation there is, in the order in which the documents show them."""

from footfall.api import accounts, data, nclue, nsml_projects, system
from footfall.api.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *nclue.OPERATIONS,
    *nsml_projects.OPERATIONS,
    *accounts.OPERATIONS,
    *data.OPERATIONS,
    *system.OPERATIONS,
)
