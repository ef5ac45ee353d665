"""The client's types of answers against the contract that the API answers by.

They are types of their own: a client and a server of other versions must understand each other, so the client takes answers
with fields missing, which the contract does not. What they name, the contract must have.
"""

import msgspec
import pytest

from footfall.client import nsml_replies, replies
from footfall.contract import accounts, nclue, nsml, objects, profiles, runs

PAIRS: dict[type[msgspec.Struct], tuple[type[msgspec.Struct], ...]] = {
    replies.Progress: (nclue.ProgressBody,),
    replies.Feature: (nclue.FeatureBody, nclue.FeatureMade),
    replies.Task: (nclue.TaskBody, nclue.TaskMade),
    replies.TaskRun: (nclue.TaskRunBody, nclue.TaskRunMade),
    replies.ShoppingIntent: (profiles.ShoppingIntentBody, profiles.ShoppingIntentMade),
    replies.CustomAttributes: (profiles.CustomAttributesBody, profiles.CustomAttributesMade),
    replies.Encoder: (nclue.EncoderBody,),
    replies.ObjectSummary: (objects.ObjectBody, objects.ObjectPut),
    replies.Account: (accounts.AccountBody, accounts.AccountMade),
    replies.User: (accounts.UserBody,),
    replies.AccessKey: (accounts.KeyBody, accounts.KeyMade),
    replies.ApiKey: (accounts.ApiKeyBody, accounts.ApiKeyMade),
    replies.Bucket: (accounts.BucketBody,),
    nsml_replies.Project: (nsml.ProjectBody, nsml.ProjectItem),
    nsml_replies.Run: (runs.RunBody, runs.RunItem),
    nsml_replies.Node: (runs.NodeBody,),
    nsml_replies.Product: (nsml.ProductBody,),
    nsml_replies.Registry: (nsml.RegistryBody,),
    nsml_replies.SshKey: (nsml.SshKeyBody,),
    nsml_replies.Volume: (nsml.VolumeBody,),
    nsml_replies.Curve: (runs.CurveBody,),
    nsml_replies.MetricSummary: (runs.SummaryBody,),
    nsml_replies.Metrics: (runs.MetricsBody,),
}


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_what_the_client_reads_is_what_the_contract_has(kind: type[msgspec.Struct]) -> None:
    bodies = [{field.encode_name for field in msgspec.structs.fields(body)} for body in PAIRS[kind]]
    for field in msgspec.structs.fields(kind):
        is_inherited = field.encode_name == "created_at" and issubclass(kind, nsml_replies.NsmlRecord)
        if field.encode_name == "-" or is_inherited:
            continue
        assert field.encode_name in set.union(*bodies), field.name
        if field.required:
            assert all(field.encode_name in names for names in bodies), f"{field.name} is not in every answer"
