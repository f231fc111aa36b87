"""The public test suite of JSON Schema (2020-12): each of its schemas as a response_format, on a model of random weights.

An answer is valid by another's validator, or the schema is refused with status 400, or its text was cut by max_tokens and says so
(finish_reason length). KINGLET_SCHEMA_SUITE names the suite's folder.
"""

import collections
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import openai
import pytest

SUITE = Path(os.environ.get("KINGLET_SCHEMA_SUITE", "/nowhere"))
FILES = ["*.json", "optional/*.json", "optional/format/*.json"]
SEEDS = 3


def groups():
    for pattern in FILES:
        for file in sorted(SUITE.glob(pattern)):
            for group in json.loads(file.read_text()):
                yield f"{file.stem}: {group['description']}", group["schema"]


def for_python(schema):
    """The schema with its patterns as ECMA-262 means them: there \\w and \\d are of ASCII."""
    if isinstance(schema, list):
        return [for_python(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: "(?a)" + value if key == "pattern" and isinstance(value, str) else for_python(value)
            for key, value in schema.items()}


def judge(server, schema, seed):
    try:
        answer = server.client.chat.completions.create(
            model=server.model, messages=[{"role": "user", "content": "?"}], max_tokens=300, seed=seed, temperature=1.5,
            response_format={"type": "json_schema", "json_schema": {"name": "suite", "schema": schema}})
    except openai.BadRequestError as error:
        assert error.param == "response_format", error
        return "refused", str(error)
    choice = answer.choices[0]
    if choice.finish_reason == "length":
        return "cut", choice.message.content
    try:
        value = json.loads(choice.message.content)
    except ValueError as error:
        return "INVALID", f"{choice.message.content!r}: {error}"
    validator = jsonschema.Draft202012Validator(for_python(schema), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    wrong = next(validator.iter_errors(value), None)
    return ("INVALID", f"{choice.message.content!r}: {wrong.message}") if wrong else ("valid", choice.message.content)


def test_every_schema_is_held_or_refused(tiny, capsys):
    if not SUITE.is_dir():
        pytest.skip("no JSON-Schema-Test-Suite (tools/ci/clients takes it out of the sources of the package jsonschema)")
    all_groups = list(groups())
    work = [(name, schema, seed) for name, schema in all_groups for seed in range(SEEDS)]
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(lambda w: judge(tiny, w[1], w[2]), work))
    counts = collections.Counter(kind for kind, _ in outcomes)
    held = {name for (name, _, _), (kind, _) in zip(work, outcomes) if kind != "refused"}
    invalid = [f"{name} (seed {seed}): {text}" for (name, _, seed), (kind, text) in zip(work, outcomes) if kind == "INVALID"]
    with capsys.disabled():
        print(f"\nJSON-Schema-Test-Suite, 2020-12: {len(all_groups)} schemas, {len(held)} held, {len(all_groups) - len(held)} refused; "
              f"of {len(work)} answers {counts['valid']} valid, {counts['cut']} cut by max_tokens, {counts['INVALID']} invalid")
    assert not invalid, "\n".join(invalid)
    assert len(held) >= 200
