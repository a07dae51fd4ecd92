"""`stenograph tenants quota`: how much a tenant's workers may upload, shown and set while the services run."""

import pytest
from tests.cli.conftest import Stenograph
from tests.support.services import Stage

from stenograph_events.subjects import AnswerSubject, upload_subject
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.uploads import declare_uploads


async def test_a_quota_is_set_for_one_tenant_and_taken_back(stage: Stage, stenograph: Stenograph):
    before = await stenograph("tenants", "quota", "busy")
    made = await stenograph("tenants", "quota", "busy", "--uploads", "2MiB")
    await declare_uploads(stage.nc, stage.settings, "busy")  # a worker registers
    await publish(stage.nc, upload_subject(AnswerSubject("busy", "find", "s1", "c1", 1), "a" * 64, 0), b"x" * 400_000)
    used = await stenograph("tenants", "quota", "busy", "--json")
    back = await stenograph("tenants", "quota", "busy", "--uploads", "default", "--json")

    assert before.out.splitlines()[1].split() == ["busy", "256.0MiB", "0B", "for", "all"]
    assert made.out.splitlines()[1].split() == ["busy", "2.0MiB", "0B", "for", "this", "tenant"]
    assert used.json["used_bytes"] > 400_000
    assert (used.json["quota_bytes"], used.json["own"]) == (2 * 1024**2, True)
    assert (back.json["quota_bytes"], back.json["own"]) == (256 * 1024**2, False)
    assert back.json["used_bytes"] == used.json["used_bytes"]


@pytest.mark.parametrize(
    ("tenant", "size", "sentence"),
    [
        ("busy", "much", "'much' is no size such as 512MiB"),
        ("busy", "10KiB", "10KiB is too little: at least 1MiB"),
        ("busy", "900TiB", "insufficient storage resources available"),
        ("a.b", "2MiB", "tenant 'a.b' must match"),
    ],
)
async def test_a_quota_that_cannot_be_is_refused_in_one_line(
    stage: Stage, stenograph: Stenograph, tenant: str, size: str, sentence: str
):
    refused = await stenograph("tenants", "quota", tenant, "--uploads", size)

    assert refused.code in (1, 2)
    assert sentence in refused.err
    assert refused.err.count("\n") == 1
