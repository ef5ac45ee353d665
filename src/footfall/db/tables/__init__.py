"""The schema: every table, key, index and CHECK. Knows no queries.

Times are integers, microseconds since 1970-01-01 UTC.
"""

from footfall.db.tables.access import access_keys as access_keys
from footfall.db.tables.access import accounts as accounts
from footfall.db.tables.access import api_keys as api_keys
from footfall.db.tables.access import bucket_grants as bucket_grants
from footfall.db.tables.access import buckets as buckets
from footfall.db.tables.access import idempotency_keys as idempotency_keys
from footfall.db.tables.access import seen_requests as seen_requests
from footfall.db.tables.access import users as users
from footfall.db.tables.behavior import encoders as encoders
from footfall.db.tables.behavior import features as features
from footfall.db.tables.behavior import resource_counts as resource_counts
from footfall.db.tables.behavior import result_reservations as result_reservations
from footfall.db.tables.behavior import task_runs as task_runs
from footfall.db.tables.behavior import tasks as tasks
from footfall.db.tables.behavior import tombstones as tombstones
from footfall.db.tables.compute import allocations as allocations
from footfall.db.tables.compute import code_archives as code_archives
from footfall.db.tables.compute import held_units as held_units
from footfall.db.tables.compute import imported_images as imported_images
from footfall.db.tables.compute import leases as leases
from footfall.db.tables.compute import projects as projects
from footfall.db.tables.compute import registries as registries
from footfall.db.tables.compute import run_counts as run_counts
from footfall.db.tables.compute import run_events as run_events
from footfall.db.tables.compute import run_gaps as run_gaps
from footfall.db.tables.compute import runs as runs
from footfall.db.tables.compute import ssh_keys as ssh_keys
from footfall.db.tables.compute import volumes as volumes
from footfall.db.tables.profiles import custom_attributes as custom_attributes
from footfall.db.tables.profiles import shopping_intents as shopping_intents
from footfall.db.tables.schema import metadata as metadata
