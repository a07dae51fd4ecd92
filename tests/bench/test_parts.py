from contextlib import AsyncExitStack

import pytest
from bench.parts import Part, PartFailed, start


async def test_a_part_that_ends_before_it_is_ready_is_named_and_ends_the_others():
    well, broken = Part("http.server", "0", ready=""), Part("platform")

    with pytest.raises(PartFailed, match=r"python -m platform was to print 'ready' and printed"):
        async with AsyncExitStack() as running:
            await start([well, broken], running)

    assert well.process.returncode is not None
    assert broken.process.returncode is not None
