"""Whatever a schema-led fuzzer sends, signed: no 500, and no answer that the document does not describe."""

import contextlib
import re
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import booleans
from requests.auth import AuthBase
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from footfall.api.docs.openapi import document
from footfall.api.table import OPERATIONS
from nsml_service import make_nsml
from service import Caller, Service, make_feature, make_profiles, make_task

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
EXAMPLES = 7
SCHEMA = schemathesis.openapi.from_dict(document(OPERATIONS))


class Signed(AuthBase):
    """Signs what is about to be sent, to the byte."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        assert request.method
        request.headers.update(self._caller.signed(request.method, request.path_url))
        return request


@pytest.fixture
def known(shared: Service, request: pytest.FixtureRequest) -> tuple[Caller, dict[str, str]]:
    """A manager of an account that has one of everything, and the ids."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[-40:].strip("-")
    account = shared.account(name)
    bucket = f"b-{name}"[:60].rstrip("-")
    account.put(bucket, "seq.csv", b"u1\ta\n")
    account.put(bucket, "labels.tsv", b"u1\t1\n")
    feature = make_feature(shared, account, "f", bucket=bucket)
    task = make_task(shared, account, "t", feature, bucket=bucket)
    run = {"name": "r", "task_id": task, "feature_id": feature, "result_bucket": bucket, "result_file_path": "r"}
    robot = shared.user(account, "robot", nclue="VIEWER")
    intent, attributes = make_profiles(account, task, feature, bucket=bucket)
    is_of_intents = "shopping_intent" in request.node.callspec.params["operation"].id
    ids = {
        "feature_id": feature,
        "task_id": task,
        "run_id": account.post("/api/v1/task-runs", run).json["run_id"],
        "encoder_id": feature,
        "profile_id": intent if is_of_intents else attributes,
        "user_id": robot.user_id,
        "access_key": robot.access_key,
        "api_key_id": account.post("/accounts/v1/api-keys", {"name": "k"}).json["api_key_id"],
        "bucket": bucket,
        "name": bucket,
        "key": "seq.csv",
        "account_id": shared.operator.account_id,
        **make_nsml(shared, account),
    }
    return shared.user(account, "fuzzer", nclue="MANAGER", nsml="MANAGER"), ids


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_the_answers_are_as_the_document_says(
    shared: Service, known: tuple[Caller, dict[str, str]], operation: Any, mode: GenerationMode
) -> None:
    endpoint = SCHEMA[operation.path.replace("...}", "}")][operation.method]
    fuzzer, ids = known
    base, answers = f"http://127.0.0.1:{shared.port}", []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=endpoint.as_strategy(generation_mode=mode), is_known=booleans())
    def run(case: Any, is_known: bool) -> None:
        if is_known:
            case.path_parameters = {name: ids[name] for name in case.path_parameters or {}}
            if isinstance(case.body, dict):
                case.body |= {field: ids["bucket"] for field in case.body if field.endswith("_bucket")}
                fields = [field for field in case.body if field in ids and field.endswith(("_id", "Id"))]
                case.body |= {field: ids[field] for field in fields}
        answers.append(case.call_and_validate(base_url=base, auth=Signed(fuzzer), checks=CHECKS).status_code)

    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with an operation that takes nothing
        run()
    assert 401 not in answers
    assert 503 not in answers
