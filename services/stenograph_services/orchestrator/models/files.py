"""Files in messages: as the provider's client takes them, or a text that says that the model cannot see them."""

from typing import Any

from pydantic_ai import messages as wire
from pydantic_ai.profiles import ModelProfile

from stenograph_events.values import FilePart

DOCUMENTS = "supports_document_input"


def file_content(file: FilePart, profile: ModelProfile) -> wire.UserContent:
    """Return `file` by its media type, as its URL or, where that is a data URL, as its bytes.

    A model whose `profile` says that it takes no such file gets a text instead, so the turn goes on.
    """
    family = file.media_type.partition("/")[0]
    make, needs = BY_FAMILY.get(family, (wire.DocumentUrl, DOCUMENTS))
    if not profile.get(needs, True) or (needs == DOCUMENTS and not _reads(file.media_type, profile)):
        name = f" {file.filename!r}" if file.filename else ""
        return f"[The file{name} of the type {file.media_type} is attached here, but you cannot see such files.]"
    if file.url.startswith("data:"):
        return wire.BinaryContent.from_data_uri(file.url)
    url: wire.UserContent = make(url=file.url, media_type=file.media_type)
    return url


def _reads(media_type: str, profile: ModelProfile) -> bool:
    types = profile.get("supported_document_media_types")
    return types is None or media_type in types


BY_FAMILY: dict[str, tuple[Any, str]] = {
    "image": (wire.ImageUrl, "supports_image_input"),
    "audio": (wire.AudioUrl, "supports_audio_file_input"),
    "video": (wire.VideoUrl, "supports_video_input"),
}
