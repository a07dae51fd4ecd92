"""The section `types` as it is written: objects, lists and unions.

types:
  Product: {id: {type: string}, tags: {type: array, items: {type: string}}}     an object
  Products: {type: array, items: {type: Product}}                               a list
  Answer: {anyOf: [Found, Missing], discriminator: kind}                        a union
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, Tag

from stenograph_services.protocol.forms import Document

OBJECT_FORM, LIST_FORM, UNION_FORM = "(object)", "(list)", "(union)"


class ItemsDoc(Document):
    """What the items of a list are."""

    type: str = Field(description="The type of each item; `array` needs `items` again.")
    items: "ItemsDoc | None" = Field(default=None, description="For `type: array`: what its items are.")
    description: str | None = Field(default=None, description="What an item is, for the model and for people.")
    enum: list[str] | None = Field(default=None, min_length=1, description="The texts that a `string` may be.")


class PropertyDoc(Document):
    """A property of an object type."""

    type: str = Field(description="A built-in type, a type of this protocol, `T[]`, or `array` with `items`.")
    items: ItemsDoc | None = Field(default=None, description="For `type: array`: what its items are.")
    description: str | None = Field(default=None, description="What the property is, for the model and for people.")
    optional: bool = Field(default=False, description="Whether it may be left out.")
    enum: list[str] | None = Field(default=None, min_length=1, description="The texts that a `string` may be.")
    const: JsonValue = Field(default=None, description="The one value that it has; what tells union variants apart.")


class ListDoc(Document):
    """A type that is a list."""

    type: Literal["array"] = Field(description="`array`: the type is a list.")
    items: ItemsDoc | None = Field(default=None, description="What its items are; required.")
    description: str | None = Field(default=None, description="What the list is, for the model and for people.")


class UnionDoc(Document):
    """A type that is one of several object types, told apart by one property."""

    any_of: list[str] = Field(min_length=2, description="The object types that it may be, two or more.")
    discriminator: str = Field(description="The property that each has with another `const`.")
    description: str | None = Field(default=None, description="What the union is, for the model and for people.")


def _form(value: Any) -> str:
    """Tell the forms apart. An object may have properties called `type` or `anyOf`: their values are mappings."""
    if isinstance(value, dict):
        if isinstance(value.get("anyOf"), list) or isinstance(value.get("discriminator"), str):
            return UNION_FORM
        if isinstance(value.get("type"), str):
            return LIST_FORM
    return OBJECT_FORM


ObjectDoc = dict[str, PropertyDoc]

TypeDoc = Annotated[
    Annotated[UnionDoc, Tag(UNION_FORM)] | Annotated[ListDoc, Tag(LIST_FORM)] | Annotated[ObjectDoc, Tag(OBJECT_FORM)],
    Discriminator(_form),
]
