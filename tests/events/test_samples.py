"""What was once written can be read for ever. A sample is never rewritten; a new variant is a new file."""

import json
from pathlib import Path

import pytest

from stenograph_events import EVENT_TYPES, UnknownEvent, decode, encode, type_of
from stenograph_events.frames import AnyFrame, decode_frame, encode_frame

SAMPLES = Path(__file__).parent / "samples"
EVENTS = sorted(SAMPLES.glob("*.json"))
FRAMES = sorted((SAMPLES / "frames").glob("*.json"))


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_a_sample_decodes_to_its_type_and_loses_nothing(path: Path):
    event = decode(path.read_bytes())

    assert type_of(event) == path.stem.partition("--")[0]
    assert not isinstance(event, UnknownEvent)
    assert json.loads(encode(event)) == json.loads(path.read_bytes())


@pytest.mark.parametrize("path", FRAMES, ids=lambda path: path.stem)
def test_a_frame_sample_decodes_to_its_type_and_loses_nothing(path: Path):
    frame = decode_frame(path.read_bytes())

    assert type(frame).__struct_config__.tag == path.stem
    assert json.loads(encode_frame(frame)) == json.loads(path.read_bytes())


def test_every_event_type_has_a_sample():
    assert {path.stem for path in EVENTS} >= set(EVENT_TYPES)


def test_every_frame_has_a_sample():
    tags = {str(kind.__struct_config__.tag) for kind in AnyFrame.__args__}

    assert {path.stem for path in FRAMES} == tags


@pytest.mark.parametrize("tag", EVENT_TYPES)
def test_every_field_of_a_type_stands_in_one_of_its_samples(tag: str):
    paths = [path for path in EVENTS if path.stem.partition("--")[0] == tag]
    shown = {field for path in paths for field in json.loads(path.read_bytes())}
    own = set(EVENT_TYPES[tag].__struct_fields__) - {"turn", "cause", "prev"}  # not every type has those

    assert own <= shown | {"attempt"}  # some calls are never tried again
