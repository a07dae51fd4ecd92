"""The blocks of a handler as they are written, one class for each kind."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Discriminator, Field, JsonValue

from stenograph_events.values import Role
from stenograph_services.protocol.agent import Display
from stenograph_services.protocol.forms import Document, InputMap, ModelSetting, Seconds
from stenograph_services.protocol.thread_documents import ThreadDoc


class BlockDoc(Document):
    """What every block may have."""

    description: str | None = Field(default=None, description="What people read while the block runs.")
    display: Display | None = Field(default=None, description="How a screen shows the block.")
    title: str | None = Field(default=None, description="The label where `display` is `title`.")


class AddMessageDoc(BlockDoc):
    """Put a message into a thread."""

    block: Literal["add-message"] = Field(description="The kind of the block.")
    role: Role = Field(description="Whose message it is.")
    prompt: str = Field(description="The prompt that is its text.")
    input: InputMap = Field(default=(), description="What the prompt is filled from.")
    thread: str = Field(default="main", description="The thread that it is put into.")
    visible: bool = Field(default=True, description="`false`: the model sees it, people do not.")
    files: list[str] = Field(default=[], description="Variables of type `file` or `file[]` that go with it.")
    ui_content: str | None = Field(default=None, description="The variable that people see in place of the prompt.")


class NextMessageDoc(BlockDoc):
    """Ask the model of a thread, and do what it asks for, until it has answered."""

    block: Literal["next-message"] = Field(description="The kind of the block.")
    thread: str = Field(default="main", description="The thread that is continued.")
    output: str | None = Field(default=None, description="The variable that takes the answer.")
    independent: bool = Field(default=False, description="`true`: the answer is no part of the chat that people see.")
    response_type: str | None = Field(default=None, description="The object type that the answer has to be.")


class ToolCallDoc(BlockDoc):
    """Call a tool, whatever the model thinks."""

    block: Literal["tool-call"] = Field(description="The kind of the block.")
    tool: str = Field(description="The tool that is called.")
    input: dict[str, JsonValue] = Field(
        default={}, description="Its parameters: the name of a variable stands for its value, all else for itself."
    )
    output: str | None = Field(default=None, description="The variable that takes the result.")
    timeout: Seconds | None = Field(
        default=None, description="How long this call may take, whatever the tool's own `timeout` says."
    )


class SetResourceDoc(BlockDoc):
    """Write a resource, which whoever follows the session sees."""

    block: Literal["set-resource"] = Field(description="The kind of the block.")
    resource: str = Field(description="The resource that is written.")
    value: str = Field(description="The variable whose value it takes.")


class StartThreadDoc(BlockDoc, ThreadDoc):
    """Begin a thread anew, with a model and a system prompt of its own."""

    block: Literal["start-thread"] = Field(description="The kind of the block.")
    thread: str | None = Field(default=None, description="The name of the thread; the name of the block if left out.")


class SerializeThreadDoc(BlockDoc):
    """Write a conversation down as text."""

    block: Literal["serialize-thread"] = Field(description="The kind of the block.")
    thread: str = Field(default="main", description="The thread that is written down.")
    format: Literal["markdown", "json"] = Field(default="markdown", description="How it is written.")
    output: str = Field(description="The variable that takes the text.")


class RunWorkerDoc(BlockDoc):
    """Run a child agent and wait for its answer."""

    block: Literal["run-worker"] = Field(description="The kind of the block.")
    worker: str = Field(description="The child agent, as declared in `workers`.")
    input: dict[str, JsonValue] = Field(
        default={}, description="Its input: the name of a variable stands for its value, all else for itself."
    )
    output: str | None = Field(default=None, description="The variable that takes its answer.")


# ---- blocks that are not run here


class MediaDoc(BlockDoc):
    """What the blocks that make or read media have in common."""

    output: str | None = Field(default=None, description="The variable that takes the result.")
    thread: str | None = Field(default=None, description="The thread that the result belongs to.")


class GenerateImageDoc(MediaDoc):
    """Make an image. Not run here: the turn ends when the block is reached."""

    block: Literal["generate-image"] = Field(description="The kind of the block.")
    prompt: str = Field(description="The variable that says what to make.")
    image_model: ModelSetting = Field(description="The model that makes it.")
    aspect_ratio: str | None = Field(default=None, description="Such as 16:9.")
    size: str | None = Field(default=None, description="The older form of `aspectRatio`, such as 1024x1024.")
    resolution: str | None = Field(default=None, description="1K, 2K or 4K.")
    reference_images: list[str] = Field(default=[], description="The variables that hold images to start from.")


class GenerateVideoDoc(MediaDoc):
    """Make a video. Not run here: the turn ends when the block is reached."""

    # The public pages name the block and leave its other keys open.
    model_config = ConfigDict(extra="allow")

    block: Literal["generate-video"] = Field(description="The kind of the block.")
    prompt: str = Field(description="The variable that says what to make.")
    video_model: ModelSetting = Field(description="The model that makes it.")


class GenerateSpeechDoc(MediaDoc):
    """Speak a text. Not run here: the turn ends when the block is reached."""

    block: Literal["generate-speech"] = Field(description="The kind of the block.")
    text: str = Field(description="The variable that holds the text.")
    speech_model: ModelSetting = Field(description="The model that speaks.")
    voice: str | None = Field(default=None, description="The voice.")
    format: Literal["mp3", "opus", "aac", "flac", "wav"] | None = Field(default=None, description="The audio format.")
    instructions: str | None = Field(default=None, description="How to speak.")
    language: str | None = Field(default=None, description="The language, such as en.")
    speed: float | None = Field(default=None, ge=0.25, le=4, description="How fast; 1 is normal.")


class TranscribeAudioDoc(MediaDoc):
    """Write down what is said. Not run here: the turn ends when the block is reached."""

    block: Literal["transcribe-audio"] = Field(description="The kind of the block.")
    audio: str = Field(description="The variable that holds the recording.")
    transcription_model: ModelSetting = Field(description="The model that listens.")
    language: str | None = Field(default=None, description="The language, such as en.")
    timestamps: bool | None = Field(default=None, description="Whether to say when each part was said.")


AnyMediaDoc = GenerateImageDoc | GenerateVideoDoc | GenerateSpeechDoc | TranscribeAudioDoc

AnyBlockDoc = Annotated[
    AddMessageDoc
    | NextMessageDoc
    | ToolCallDoc
    | SetResourceDoc
    | StartThreadDoc
    | SerializeThreadDoc
    | RunWorkerDoc
    | AnyMediaDoc,
    Discriminator("block"),
]


def _kinds() -> dict[str, type[BlockDoc]]:
    classes: tuple[Any, ...] = get_args(get_args(AnyBlockDoc)[0])
    return {get_args(doc.model_fields["block"].annotation)[0]: doc for doc in classes}


BLOCKS: Mapping[str, type[BlockDoc]] = _kinds()
"""The class of each kind of block."""
