"""From our records of profiles to the shapes of ``/api/v1/profile``. The only place that knows both."""

from footfall.api.nclue.wire import job_fields, result_of, stamp
from footfall.contract import profiles as shapes
from footfall.contract.jobs import MakeCustomAttributesResult, MakeShoppingIntentResult
from footfall.contract.nclue import ProgressBody
from footfall.records import CustomAttributes, ShoppingIntent


def shopping_intent_made(intent: ShoppingIntent) -> shapes.ShoppingIntentMade:
    """Return what POST shows of a shopping intent."""
    return shapes.ShoppingIntentMade(intent.id, intent.name, intent.task_id, intent.task_name, stamp(intent.run.created_at))


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
    return shapes.ShoppingIntentBody(
        profile_id=intent.id,
        profile_name=intent.name,
        task_id=intent.task_id,
        task_name=intent.task_name,
        line_count=result.line_count if result else None,
        disk_usage=result.disk_usage if result else None,
        **job_fields(run, progress),
    )


def custom_attributes_body(attributes: CustomAttributes, progress: ProgressBody | None = None) -> shapes.CustomAttributesBody:
    """Return what GET shows of custom attributes."""
    run, result = attributes.run, result_of(attributes.run, MakeCustomAttributesResult)
    return shapes.CustomAttributesBody(
        profile_id=attributes.id,
        profile_name=attributes.name,
        feature_id=attributes.feature_id,
        feature_name=attributes.feature_name,
        keyword_set=_keywords(attributes),
        result_bucket=attributes.result_bucket,
        result_file_path=attributes.result_file_path,
        line_count=result.line_count if result else None,
        unknown_keywords=result.unknown_keywords if result else None,
        **job_fields(run, progress),
    )


def _keywords(attributes: CustomAttributes) -> str:
    return attributes.keyword_set.replace("\n", ",")
