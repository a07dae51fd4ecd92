"""The documents of the interfaces, made from the code: OpenAPI, AsyncAPI, and a page for people."""
