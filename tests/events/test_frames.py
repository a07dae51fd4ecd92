from stenograph_events.frames import TextDelta, decode_frame, encode_frame


def test_the_id_of_a_frame_says_which_event_attempt_and_frame_it_is():
    frame = TextDelta(turn="t1", after=3, attempt=2, k=7, text="You are on ")

    assert frame.frame_id == "3.2.7"
    assert decode_frame(encode_frame(frame)) == frame
