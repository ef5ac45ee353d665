"""Query strings as structs: each limit of a type is kept and said, whatever the field."""

import pytest

from footfall.api.http.query import parse_query, query_fields
from footfall.api.table import OPERATIONS
from footfall.contract.queries import LogQuery, Page, RegistryQuery, ResourcePage, RunsQuery
from footfall.errors import InvalidFieldError

KINDS = sorted({each.query for each in OPERATIONS if each.query is not None}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described_and_every_default_is_within_its_limits(kind: type) -> None:
    fields = query_fields(kind)
    assert fields
    assert all(field.description.endswith(".") for field in fields)
    given = "&".join(f"{each.name}={each.schema['default']}" for each in fields if "default" in each.schema)
    required = "&".join(f"{each.name}=x" for each in fields if each.is_required)
    assert parse_query(kind, f"{given}&{required}".encode()) == parse_query(kind, required.encode())


def test_what_is_allowed_is_read() -> None:
    assert parse_query(LogQuery, b"tail=3&grep=a%20b+c&since=2026-01-31&unknown=1") == LogQuery(
        tail=3, grep="a b c", since="2026-01-31"
    )
    assert parse_query(Page, b"PAGE=007&pagesize=20", ignore_case=True) == Page(page=7, page_size=20)
    assert parse_query(Page, b"page=" + b"9" * 4000).page == 10**18
    assert parse_query(RunsQuery, b"status=RUN_STATE_FAILED").status == "RUN_STATE_FAILED"


@pytest.mark.parametrize(
    ("kind", "query", "rule", "sentence"),
    [
        (ResourcePage, "limit=0", "range", "limit is '0'; give a whole number from 1 to 100."),
        (ResourcePage, "limit=1e1", "range", "limit is '1e1'; give a whole number from 1 to 100."),
        (ResourcePage, "limit=%2B5", "range", "limit is '+5'; give a whole number from 1 to 100."),
        (ResourcePage, "limit=", "range", "limit is ''; give a whole number from 1 to 100."),
        (Page, "page=-1", "range", "page is '-1'; give a whole number of at least 0."),
        (LogQuery, "grep=" + "x" * 1025, "too_long", "grep has 1025 characters; give at most 1024."),
        (LogQuery, "follow=yes", "choice", "follow is 'yes'; give one of true, false."),
        (LogQuery, "tail=1000001", "range", "tail is '1000001'; give a whole number from 0 to 1000000."),
        (LogQuery, "tail=1&tail=2", "range", "tail is given twice; give it once."),
        (RegistryQuery, "", "missing", "privateEp is missing from the query: Host of the image repository."),
    ],
)
def test_what_is_not_is_refused_in_one_sentence(kind: type, query: str, rule: str, sentence: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        parse_query(kind, query.encode())
    assert (refused.value.rule, str(refused.value)) == (rule, sentence)
