"""The examples of the OpenAPI document: one conversation, about one plan."""

SESSION = "2f0193b1c0a87d5e9b64f27a1c3d5e7f90"
AGENT_ID = "0193b1c0a87d7e4f8a5b6c7d8e9f0a1b"
TURN = "91d2a6be-4c1f-5a70-9d3e-2b8f6a7c5e10"
CALL = "7e1f0c9b8a7d5e6f9c4b3a2d1e0f9a8b"
VERSION = "fcbcb3ca2573"
AT, LATER = "2026-11-22T10:00:00.120Z", "2026-11-22T10:00:01.480Z"

_ITEM = {
    "slug": "support-chat", "id": AGENT_ID, "name": "Support Chat", "description": "Answers customers.",
    "format": "interactive", "createdAt": AT, "updatedAt": LATER, "projectId": "default",
}  # fmt: skip
_SETTINGS = {"slug": "support-chat", "name": "Support Chat", "format": "interactive"}
_PROTOCOL = (
    "triggers:\n  user-message:\n    input:\n      USER_MESSAGE: {type: string}\n"
    "agent:\n  model: openai/gpt-5\n  system: system\n"
    "handlers:\n  user-message:\n"
    "    Add:\n      block: add-message\n      role: user\n      prompt: question\n      input: [USER_MESSAGE]\n"
    "    Answer:\n      block: next-message\n"
)
_PROMPTS = [{"name": "system", "content": "You help."}, {"name": "question", "content": "{{USER_MESSAGE}}"}]

READY = {"ready": True, "nats": True, "durable": "true"}
AGENTS = {"agents": [_ITEM]}
AGENT = {"id": AGENT_ID, "settings": _SETTINGS, "protocol": _PROTOCOL, "prompts": _PROMPTS, "references": []}
DEFINITION = {"settings": _SETTINGS, "protocol": _PROTOCOL, "prompts": _PROMPTS}
CHANGE = {"settings": {"name": "Customer Support"}}
AGENT_CREATED = {"agentId": AGENT_ID, "message": "agent 'support-chat' is created"}
AGENT_UPDATED = {"agentId": AGENT_ID, "message": "agent 'support-chat' is updated"}
AGENT_ARCHIVED = {"agentId": AGENT_ID, "message": "agent 'support-chat' is archived"}
VERDICT = {
    "valid": False,
    "errors": [
        {
            "message": "there is no prompt 'greeting'",
            "severity": "error",
            "path": "protocol.yaml:14 handlers.user-message.Add.prompt",
            "code": "unknown-prompt",
            "file": "protocol.yaml",
            "line": 14,
            "column": 15,
        }
    ],
    "warnings": [],
}

DIGEST = "7cc4ae8bb0df6dcbf6bdf2ae3ff2a3cdd8a5b3f1c1d0a5f9e7a4d8b1c2e3f405"
APPROVALS = {
    "approvals": [
        {
            "call": CALL,
            "session": SESSION,
            "turn": TURN,
            "tool": "refund",
            "arguments": {"amount": 250},
            "digest": DIGEST,
            "deadlineAt": "2026-11-29T10:00:00.120Z",
        }
    ]
}
GRANT = {"decision": "grant", "digest": DIGEST, "actor": "ann"}
DENY = {"decision": "deny", "digest": DIGEST, "reason": "Not without an invoice."}
EDIT = {"decision": "edit", "digest": DIGEST, "arguments": {"amount": 50}}
DECIDED = {
    "call": CALL,
    "decision": "granted",
    "digest": DIGEST,
    "actor": {"via": "http", "credential": "3f9a1c2b7d0e", "name": "ann"},
    "n": 7,
    "at": LATER,
}
RESOLUTIONS = {
    "resolutions": [
        {
            "call": CALL,
            "session": SESSION,
            "turn": TURN,
            "tool": "pay",
            "attempt": 1,
            "arguments": {"amount": 250},
            "deadlineAt": "2026-11-29T10:00:00.120Z",
        }
    ]
}
RESOLVE = {"outcome": "succeeded", "result": {"receipt": "R-17"}, "actor": "ann"}
RESOLVE_FAILED = {"outcome": "failed", "error": "No such payment was made."}
RESOLVED = {
    "call": CALL,
    "attempt": 1,
    "outcome": "succeeded",
    "actor": {"via": "http", "credential": "3f9a1c2b7d0e", "name": "ann"},
    "n": 9,
    "at": LATER,
    "result": {"receipt": "R-17"},
}
CREATE = {"agentId": "support-chat", "input": {"COMPANY_NAME": "Acme"}}
TRIGGER = {"triggerName": "user-message", "input": {"USER_MESSAGE": "What plan am I on?"}}
TRIGGER_WITH_TOOLS = TRIGGER | {
    "sender": {"id": "u-7", "name": "Ada"},
    "dynamicToolSchemas": [
        {
            "name": "files__search",
            "description": "Search the user's files",
            "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        }
    ],
}
CONTINUE = {
    "executionId": TURN,
    "toolResults": [{"toolCallId": CALL, "toolName": "get-user-account", "result": {"plan": "pro"}}],
}
START = {"agentId": "support-chat", "trigger": TRIGGER, "idempotencyKey": "order-17"}
EXECUTE = {"type": "start", "input": {"TOPIC": "tides"}}
STREAM = (
    f'data: {{"type":"start","executionId":"{TURN}"}}\n\n'
    'data: {"type":"text-start","id":"p1"}\n\n'
    'id: 3.1.1\ndata: {"type":"text-delta","id":"p1","delta":"You are on the pro plan."}\n\n'
    'data: {"type":"text-end","id":"p1"}\n\n'
    'id: 9\ndata: {"type":"finish","finishReason":"stop"}\n\n'
    "data: [DONE]\n\n"
)

RUN = (
    f'data: {{"type":"start","executionId":"{SESSION}"}}\n\n'
    f'id: 2\ndata: {{"type":"worker-start","workerId":"{SESSION}","workerSlug":"guide","input":{{"TOPIC":"tides"}}}}'
    f'\n\nid: 7/2\ndata: {{"type":"worker-result","workerId":"{SESSION}","output":"High tide is at noon."}}\n\n'
    'id: 7/1\ndata: {"type":"finish","finishReason":"stop"}\n\n'
    'id: 7\ndata: {"type":"usage","cost":{"currency":"USD","bandwidthFee":0.0,"providerFee":0.0,"totalFee":0.0,'
    '"byok":true,"estimatedProviderFee":0.0021},"tokens":{"inputTokens":780,"outputTokens":32,"totalTokens":812}}\n\n'
    "data: [DONE]\n\n"
)
_MESSAGES = [
    {
        "id": "5b3f9a1c",
        "role": "user",
        "parts": [{"type": "text", "text": "What plan am I on?", "status": "done"}],
        "status": "done",
        "createdAt": AT,
    },
    {
        "id": "77aa0e2d",
        "role": "assistant",
        "parts": [{"type": "text", "text": "You are on the pro plan.", "status": "done"}],
        "status": "done",
        "createdAt": LATER,
    },
]
UI = {"sessionId": SESSION, "agentId": AGENT_ID, "status": "active", "messages": _MESSAGES}
RESTORE = {"messages": _MESSAGES}
SESSIONS = {
    "sessions": [
        {
            "sessionId": SESSION,
            "agent": "support-chat",
            "agentVersion": VERSION,
            "status": "idle",
            "turns": 1,
            "events": 9,
            "inputTokens": 612,
            "outputTokens": 40,
            "createdAt": AT,
            "updatedAt": LATER,
            "title": "What plan am I on?",
            "outcome": "completed",
        }
    ],
    "cursor": f"1795341601480000-{SESSION}",
}

_CREATED = (
    f'{{"type":"session.created","id":"0a7c5e1f","n":1,"at":"{AT}","tenant":"default","session":"{SESSION}",'
    f'"agent":"support-chat","agent_version":"{VERSION}","input":{{"COMPANY_NAME":"Acme"}}}}'
)
LOG_LINES = _CREATED + "\n"
LOG_STREAM = f"retry: 1000\n\nid: 1\ndata: {_CREATED}\n\n: heartbeat\n\n"
STATE = {
    "sessionId": SESSION,
    "n": 5,
    "hash": "9f2c8d0e",
    "agent": "support-chat",
    "agentVersion": VERSION,
    "status": "waiting",
    "standing": "active",
    "turns": 1,
    "input": {"COMPANY_NAME": "Acme"},
    "variables": {},
    "resources": {},
    "todos": [],
    "queue": [],
    "spent": {"tokens": 652, "costUsd": "0.0021", "steps": 1, "unpriced": 0},
    "createdAt": AT,
    "updatedAt": LATER,
    "turn": {
        "turn": TURN,
        "trigger": "user-message",
        "input": {"USER_MESSAGE": "What plan am I on?"},
        "block": 1,
        "step": 1,
        "thread": "main",
        "calls": [
            {
                "call": CALL,
                "tool": "get-user-account",
                "status": "open",
                "arguments": {"userId": "user-123"},
                "attempt": 1,
                "deadlineAt": "2026-11-22T10:01:01.480Z",
            }
        ],
    },
}
LOGS = {
    "sessionId": SESSION,
    "total": 9,
    "entries": [
        {
            "id": "0b1d7c3a",
            "timestamp": AT,
            "type": "trigger",
            "n": 2,
            "executionId": TURN,
            "name": "user-message",
            "value": {"USER_MESSAGE": "What plan am I on?"},
        },
        {
            "id": "77aa0e2d",
            "timestamp": LATER,
            "type": "model-request",
            "n": 4,
            "executionId": TURN,
            "name": "openai/gpt-5",
            "inputTokens": 612,
            "outputTokens": 40,
        },
    ],
}
MINT = {"agentId": "support-chat", "sessionId": SESSION, "ttlSeconds": 600}
TOKEN = {"token": "oct_et_eyJhbGciOi", "jti": "8c1f6b5d", "expiresAt": "2026-11-22T10:10:00.120Z"}
REVOKE = {"token": "oct_et_eyJhbGciOi"}
REVOKED = {"revoked": True, "jti": "8c1f6b5d"}
UPLOAD = {"sessionId": SESSION, "files": [{"filename": "cat.png", "mediaType": "image/png", "size": 1234}]}
UPLOADS = {
    "files": [
        {
            "id": "8c1f6b5d",
            "uploadUrl": "https://stenograph.example/api/files/8c1f6b5d?name=cat.png&size=1234&sig=9f2c",
            "downloadUrl": "https://stenograph.example/api/files/8c1f6b5d?name=cat.png&size=1234&sig=0b1d",
        }
    ]
}
KEPT = {"id": "8c1f6b5d", "size": 1234}
