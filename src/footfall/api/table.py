"""Every operation there is, in the order in which the documents show them."""

from footfall.api import objects, system
from footfall.api.accounts import operations
from footfall.api.http.operations import Operation
from footfall.api.nclue import profiles, resources
from footfall.api.nsml import catalogue, outputs, projects, runs, storage

OPERATIONS: tuple[Operation, ...] = (
    *resources.OPERATIONS,
    *profiles.OPERATIONS,
    *projects.OPERATIONS,
    *runs.OPERATIONS,
    *outputs.OPERATIONS,
    *catalogue.OPERATIONS,
    *storage.OPERATIONS,
    *operations.OPERATIONS,
    *objects.OPERATIONS,
    *system.OPERATIONS,
)
