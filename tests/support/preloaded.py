"""What the process has imported from which the tests' processes are born (`processes`)."""

import gc

import stenograph_sdk.cli  # noqa: F401
import stenograph_services.cli.app
import stenograph_services.cli.dev
import stenograph_services.gateway.app
import stenograph_services.orchestrator.app
import stenograph_services.projector.app
import stenograph_services.tool_gateway.app  # noqa: F401

gc.freeze()  # a collection in a child would copy every page that is shared
