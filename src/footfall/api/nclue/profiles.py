"""``/api/v1/profile``: the nine documented operations on shopping intents and custom attributes, and ours beside them."""

from footfall.api.http.errors import BAD_PATH, NO_SUCH, NOT_COMPLETED, NOT_READY, PATH_NOT_FOUND, RESULT_EXISTS
from footfall.api.http.operations import Operation
from footfall.api.http.responses import Response
from footfall.api.nclue import profile_wire as wire
from footfall.api.nclue.operations import operations_of
from footfall.api.request import Mutation, Request
from footfall.behavior.custom_attributes import create_custom_attributes, delete_custom_attributes
from footfall.behavior.shopping_intents import create_shopping_intent, delete_shopping_intent, profile_key
from footfall.contract import profiles as shapes
from footfall.db.profiles import CUSTOM_ATTRIBUTES, SHOPPING_INTENTS


def post_shopping_intent(request: Request) -> Mutation:
    """Describe the users whom a task finds."""
    new: shapes.NewShoppingIntent = request.fields
    apply = create_shopping_intent(request.context.behavior, request.caller, name=new.name, task_id=new.task_id)
    return Mutation(lambda tx: wire.shopping_intent_made(apply(tx)))


def post_custom_attributes(request: Request) -> Mutation:
    """Compare the users of a feature with keywords."""
    new: shapes.NewCustomAttributes = request.fields
    apply = create_custom_attributes(
        request.context.behavior,
        request.caller,
        name=new.name,
        feature_id=new.feature_id,
        keyword_set=new.keyword_set,
        bucket=new.result_bucket,
        path=new.result_file_path,
    )
    return Mutation(lambda tx: wire.custom_attributes_made(apply(tx)))


def download_shopping_intent(request: Request) -> Response:
    """Return the table of a completed shopping intent."""
    with request.context.database.read() as connection:
        intent = SHOPPING_INTENTS.get(connection, request.caller.account_id, request.params["profile_id"])
    table = request.context.internal.read_bytes(profile_key(intent))
    name = f'attachment; filename="{intent.id}.tsv"'.encode()
    return Response(table, content_type=_TABLE.encode(), headers=[(b"content-disposition", name)])


_TABLE = "text/tab-separated-values; charset=utf-8"

OPERATIONS: tuple[Operation, ...] = (
    *operations_of(
        "profile/shopping-intents", "profile_id", SHOPPING_INTENTS,
        (post_shopping_intent, shapes.NewShoppingIntent, shapes.ShoppingIntentMade, (NO_SUCH, NOT_READY)),
        (wire.shopping_intent_body, shapes.ShoppingIntentBody), shapes.ShoppingIntentList,
        (delete_shopping_intent, shapes.ProfileId), shapes.ProfileCancelled,
    ),
    Operation(
        "download_shopping_intent", "GET", "/api/v1/profile/shopping-intents-download/{profile_id}",
        "Download the table of a shopping intent as `{profile_id}.tsv`.", download_shopping_intent,
        errors=(NO_SUCH, NOT_COMPLETED), is_documented=True, content_type="text/tab-separated-values",
        response_headers=(("content-disposition", "The file's name."),),
    ),
    *operations_of(
        "profile/custom-attributes", "profile_id", CUSTOM_ATTRIBUTES,
        (post_custom_attributes, shapes.NewCustomAttributes, shapes.CustomAttributesMade,
         (BAD_PATH, NO_SUCH, NOT_READY, PATH_NOT_FOUND, RESULT_EXISTS)),
        (wire.custom_attributes_body, shapes.CustomAttributesBody), shapes.CustomAttributesList,
        (delete_custom_attributes, shapes.ProfileId), shapes.ProfileCancelled,
    ),
)  # fmt: skip
