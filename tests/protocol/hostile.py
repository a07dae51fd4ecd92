"""Agents that are meant to harm: name → bundle. Run, it prints what loading each one costs, or those that are named.

python -m tests.protocol.hostile "type bomb"     {"name": "type bomb", "cpu_seconds": 0.05, "small_agents": 11, …}
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable

import msgspec
from tests.support.small_agent import BUNDLE, PROTOCOL

from stenograph_services.protocol import Bundle, check_bundle

HALF = 500_000  # bytes; what a protocol may almost have


def _protocol(text: str) -> Bundle:
    return msgspec.structs.replace(BUNDLE, protocol=text)


def _settings(text: str) -> Bundle:
    return msgspec.structs.replace(BUNDLE, settings=text)


def _prompts(**prompts: str) -> Bundle:
    return msgspec.structs.replace(BUNDLE, prompts={**BUNDLE.prompts, **prompts})


def _with(old: str, new: str) -> Bundle:
    return _protocol(PROTOCOL.replace(old, new, 1))


def _lines(start: str, line: Callable[[int], str], times: int) -> Bundle:
    return _protocol(start + "".join(line(number) for number in range(times)))


def _aliases() -> Bundle:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"]
    return _protocol("".join(lines + [f"b{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(9)]))


def _type_bomb() -> Bundle:
    ten = ", ".join(f"p{j}: {{type: TNEXT}}" for j in range(10))
    return _lines(
        "types:\n  T60: {a: {type: string}}\n", lambda n: f"  T{n}: {{{ten.replace('NEXT', str(n + 1))}}}\n", 60
    )


def _large_type(section: str, line: Callable[[int], str]) -> Bundle:
    many = ", ".join(f"p{n}: {{type: string}}" for n in range(900))
    return _lines(f"types:\n  B: {{{many}}}\n  C: {{a: {{type: B}}, b: {{type: B}}}}\n{section}:\n", line, 900)


def _wide_union() -> Bundle:
    names = ", ".join(f"V{n}" for n in range(1500))
    start = f"types:\n  U: {{anyOf: [{names}], discriminator: k}}\n"
    return _lines(start, lambda n: f"  V{n}: {{k: {{type: string, const: '{n}'}}}}\n", 1500)


def _misspelt_tools() -> Bundle:
    names = ", ".join(f"tol-{n}" for n in range(1500))
    start = f"agent: {{model: openai/x, system: system, tools: [{names}]}}\ntools:\n"
    return _lines(start, lambda n: f"  tool-{n}: {{description: x}}\n", 1500)


def _includes() -> Bundle:
    return _prompts(system="{{@p0.md}}", **{f"p{n}": f"{{{{@p{n + 1}.md}}}}" * 10 for n in range(15)}, p15="x")


HOSTILE: dict[str, Callable[[], Bundle]] = {
    "10 MB protocol": lambda: _protocol("a" * 10_000_000),
    "10 MB settings": lambda: _settings('{"slug": "' + "x" * 10_000_000 + '"}'),
    "10 MB prompt": lambda: _prompts(system="x" * 10_000_000),
    "aliases of aliases": _aliases,
    "many anchors": lambda: _lines("a:\n", lambda n: f"- &a{n} x\n", 9_000),
    "many values": lambda: _protocol("a:\n" + "- a\n" * (HALF // 4)),
    "many values in one line": lambda: _protocol("a: [" + "a," * (HALF // 2) + "]"),
    "10,000 keys": lambda: _lines("", lambda n: f"k{n}: 1\n", 10_000),
    "10,000 keys of settings": lambda: _settings("{" + ",".join(f'"k{n}":1' for n in range(80_000)) + "}"),
    "one key again and again": lambda: _protocol("? a\n" * (HALF // 4)),
    "one key of settings again": lambda: _settings('{"a": {' + ",".join('"k":1' for _ in range(80_000)) + "}}"),
    "3,000 broken inputs": lambda: _lines("input:\n", lambda n: f"  K{n}: {{typ: string}}\n", 3_000),
    "3,000 unknown types": lambda: _lines("input:\n", lambda n: f"  K{n}: {{type: strng}}\n", 3_000),
    "3,000 bad names": lambda: _lines("tools:\n", lambda n: f"  kK{n}: {{description: x}}\n", 3_000),
    "1,500 misspelt tools": _misspelt_tools,
    "2,000 odd values": lambda: _lines("variables:\n", lambda n: f"  V{n}: {{type: string, default: no}}\n", 2_000),
    "deep lists": lambda: _protocol("a: " + "[" * HALF),
    "deep mappings": lambda: _protocol("a: " + "{a: " * (HALF // 4)),
    "deep indentation": lambda: _lines("", lambda n: " " * n + "a:\n", 900),
    "deep settings": lambda: _settings("[" * HALF),
    "long text": lambda: _protocol('a: "' + "x" * HALF + '"'),
    "long words": lambda: _protocol("a: " + "x " * (HALF // 2)),
    "empty lines": lambda: _protocol("\n" * HALF),
    "comments": lambda: _protocol("# c\n" * (HALF // 4)),
    "long key": lambda: _protocol("x" * HALF + ": 1"),
    "long number": lambda: _protocol("a: " + "9" * HALF),
    "long fraction": lambda: _protocol("a: 1." + "9" * HALF),
    "type bomb": _type_bomb,
    "chain of types": lambda: _lines("types:\n", lambda n: f"  T{n}: {{a: {{type: T{n + 1}}}}}\n", 2_400),
    "circle of types": lambda: _lines("types:\n", lambda n: f"  T{n}: {{a: {{type: T{(n + 1) % 2400}}}}}\n", 2_400),
    "many circles of types": lambda: _lines("types:\n", lambda n: f"  T{n}: {{a: {{type: T{n}}}}}\n", 2_400),
    "large type in many variables": lambda: _large_type("variables", lambda n: f"  V{n}: {{type: C, default: {{}}}}\n"),
    "large type in many tools": lambda: _large_type(
        "tools", lambda n: f"  t{n}: {{description: x, parameters: {{a: {{type: C}}}}, result: C}}\n"
    ),
    "wide union": _wide_union,
    "prompts that include each other": _includes,
    "conditions in conditions": lambda: _prompts(system="{{#if COMPANY}}" * 30_000),
    "braces": lambda: _prompts(system="{{" * (HALF // 2)),
    "ReDoS in a model": lambda: _with("openai/gpt-5", "openai/" + "a" * 400_000 + "!"),
    "ReDoS in a name": lambda: _with("get-account:", "get-" + "a-" * 200_000 + ":"),
    "ReDoS in a duration": lambda: _with("Look it up", 'x\n    timeout: "' + "9" * 400_000 + '"'),
    "ReDoS in money": lambda: _with("  system: system", '  budget: {turn: {cost: "' + "9" * 400_000 + '"}}'),
    "ReDoS in an odd number": lambda: _with('default: ""', "default: " + "1_" * 200_000),
    "ReDoS in an odd time": lambda: _with('default: ""', "default: " + "1:1" * 130_000),
    "ReDoS in a suggestion": lambda: _with("agent:", "agen" + "t" * 400 + ":"),
    "a path as a prompt": lambda: _with("prompt: said", "prompt: ../../../../etc/passwd"),
    "a path as a script": lambda: _with("openai/gpt-5", "scripted/../../etc/passwd"),
    "a path as a reference": lambda: _with("  tools: [get-account]", "  references: [../../etc/passwd]"),
    "a path as an include": lambda: _prompts(system="{{@../../../../etc/passwd.md}}"),
    "a path as a name": lambda: _prompts(**{"../../etc/passwd": "x"}),
}


HARMLESS = ("braces", "ReDoS in an odd number", "ReDoS in an odd time")
"""Those that are read as the text that they are."""


def small_agent_seconds() -> float:
    """Return the processor time of loading a small agent here and now, by which the others are measured."""
    taken: list[float] = []
    for _ in range(21):
        began = time.process_time()
        check_bundle(BUNDLE)
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def cost(name: str) -> dict[str, object]:
    """Return what it costs to load the hostile agent `name`, and what is told of it."""
    small = small_agent_seconds()
    bundle = HOSTILE[name]()
    cpu, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    agent, problems = check_bundle(bundle, "agents/x")
    seconds = time.process_time() - cpu
    return {
        "name": name,
        "cpu_seconds": seconds,
        "small_agents": seconds / small,
        "memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024,
        "refused": agent is None,
        "told": [str(problem) for problem in problems],
    }


def print_costs(names: Iterable[str]) -> None:
    """Print one line of JSON for each agent of `names`, each loaded in a process of its own, none if that one dies."""
    check_bundle(BUNDLE)  # what is loaded once is no cost of any agent
    for name in names:
        child = os.fork()
        if not child:
            print(json.dumps(cost(name)), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    print_costs(sys.argv[1:] or HOSTILE)
