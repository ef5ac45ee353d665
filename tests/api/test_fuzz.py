"""Whatever a schema-led fuzzer sends, signed: no 500, and no answer that the document does not describe."""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from requests.auth import AuthBase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from service import Caller, Service

from footfall.api.openapi import document
from footfall.api.table import OPERATIONS

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
EXAMPLES = 15
SCHEMA = schemathesis.openapi.from_dict(document())


class Signed(AuthBase):
    """Signs what is about to be sent, to the byte."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        assert request.method
        request.headers.update(self._caller.signed(request.method, request.path_url))
        return request


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_the_answers_are_as_the_document_says(shared: Service, operation: Any) -> None:
    endpoint = SCHEMA[operation.path.replace("...}", "}")][operation.method]
    account = shared.account(f"fuzz {operation.id}")
    fuzzer = shared.user(account, "fuzzer", nclue="MANAGER", nsml="MANAGER")
    base, answers = f"http://127.0.0.1:{shared.port}", []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=endpoint.as_strategy())
    def run(case: Any) -> None:
        response = case.call_and_validate(base_url=base, auth=Signed(fuzzer), checks=CHECKS)
        answers.append(response.status_code)

    run()
    assert 401 not in answers
    assert 503 not in answers
