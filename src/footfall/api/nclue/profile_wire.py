"""From our records of profiles to the shapes of ``/api/v1/profile``. The only place that knows both."""

from footfall.api.nclue.wire import fail_message, result_of, stamp, stamp_of_end, wire_status
from footfall.contract import profiles as shapes
from footfall.contract.jobs import MakeCustomAttributesResult, MakeShoppingIntentResult
from footfall.contract.nclue import ProgressBody
from footfall.records import CustomAttributes, ShoppingIntent


def shopping_intent_made(intent: ShoppingIntent) -> shapes.ShoppingIntentMade:
    """Return what POST shows of a shopping intent."""
    return shapes.ShoppingIntentMade(
        intent.id, intent.name, intent.task_id, intent.task_name, stamp(intent.run.created_at)
    )


def custom_attributes_made(attributes: CustomAttributes) -> shapes.CustomAttributesMade:
    """Return what POST shows of custom attributes."""
    return shapes.CustomAttributesMade(
        attributes.id,
        attributes.name,
        attributes.feature_id,
        attributes.feature_name,
        _keywords(attributes),
        stamp(attributes.run.created_at),
        attributes.result_bucket,
        attributes.result_file_path,
    )


def shopping_intent_body(intent: ShoppingIntent, progress: ProgressBody | None = None) -> shapes.ShoppingIntentBody:
    """Return what GET shows of a shopping intent."""
    run, result = intent.run, result_of(intent.run, MakeShoppingIntentResult)
    message, details = fail_message(run)
    return shapes.ShoppingIntentBody(
        profile_id=intent.id,
        profile_name=intent.name,
        task_id=intent.task_id,
        task_name=intent.task_name,
        status=wire_status(run),
        created_at=stamp(run.created_at),
        completed_at=stamp_of_end(run),
        line_count=result.line_count if result else None,
        disk_usage=result.disk_usage if result else None,
        fail_message=message,
        fail_details=details,
        progress=progress,
    )


def custom_attributes_body(
    attributes: CustomAttributes, progress: ProgressBody | None = None
) -> shapes.CustomAttributesBody:
    """Return what GET shows of custom attributes."""
    run, result = attributes.run, result_of(attributes.run, MakeCustomAttributesResult)
    message, details = fail_message(run)
    return shapes.CustomAttributesBody(
        profile_id=attributes.id,
        profile_name=attributes.name,
        feature_id=attributes.feature_id,
        feature_name=attributes.feature_name,
        keyword_set=_keywords(attributes),
        status=wire_status(run),
        created_at=stamp(run.created_at),
        completed_at=stamp_of_end(run),
        result_bucket=attributes.result_bucket,
        result_file_path=attributes.result_file_path,
        line_count=result.line_count if result else None,
        fail_message=message,
        fail_details=details,
        unknown_keywords=result.unknown_keywords if result else None,
        progress=progress,
    )


def _keywords(attributes: CustomAttributes) -> str:
    return attributes.keyword_set.replace("\n", ",")
