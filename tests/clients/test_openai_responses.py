"""/v1/responses and /v1/embeddings by the official openai package."""

import base64
import json
import math
import struct

import openai
import pydantic
import pytest

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city now.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def test_a_text(tiny):
    answer = tiny.client.responses.create(model=tiny.model, input="Say hello.", instructions="Be brief.", max_output_tokens=20,
                                          metadata={"a": "b"})
    assert answer.object == "response" and answer.instructions == "Be brief." and answer.metadata == {"a": "b"}
    assert answer.status in ("completed", "incomplete")
    assert answer.output[0].type == "message"
    assert answer.usage.output_tokens <= 20
    if answer.status == "incomplete":
        assert answer.incomplete_details.reason == "max_output_tokens"


def test_its_events_say_the_same(tiny):
    ask = dict(model=tiny.model, input=[{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
               max_output_tokens=20, temperature=0)
    whole = tiny.client.responses.create(**ask)
    kinds, text, numbers = [], "", []
    for event in tiny.client.responses.create(**ask, stream=True):
        kinds.append(event.type)
        numbers.append(event.sequence_number)
        if event.type == "response.output_text.delta":
            text += event.delta
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-1] == "response." + whole.status
    assert numbers == list(range(len(numbers)))
    assert text == whole.output_text == event.response.output_text


def test_the_stream_helper_understands_it(tiny):
    with tiny.client.responses.stream(model=tiny.model, input="Hi", max_output_tokens=30) as stream:
        for _ in stream:
            pass
        if _.type == "response.completed":
            assert stream.get_final_response().output


def test_tools_there_and_back(tiny):
    ask = dict(model=tiny.model, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, max_output_tokens=300)
    items = [{"role": "user", "content": "Weather?"}]
    answer = tiny.client.responses.create(**ask, input=items)
    (call,) = [item for item in answer.output if item.type == "function_call"]
    assert set(json.loads(call.arguments)) == {"city"}
    items += answer.output
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    final = tiny.client.responses.create(model=tiny.model, input=items, tools=[WEATHER], tool_choice="none", max_output_tokens=5)
    assert final.output[0].type == "message"

    arguments, done = "", None
    for event in tiny.client.responses.create(**ask, input="Weather?", stream=True):
        if event.type == "response.function_call_arguments.delta":
            arguments += event.delta
        if event.type == "response.function_call_arguments.done":
            done = event.arguments
    assert done == arguments and "city" in json.loads(done)


def test_structured_output(tiny):
    class Answer(pydantic.BaseModel):
        number: int = pydantic.Field(ge=10, le=99)
        good: bool

    answer = tiny.client.responses.parse(model=tiny.model, input="A number?", text_format=Answer, max_output_tokens=200)
    assert 10 <= answer.output_parsed.number <= 99


def test_what_is_not_kept_here_is_refused_by_name(tiny):
    for name, value in (("previous_response_id", "resp_1"), ("store", True), ("background", True)):
        with pytest.raises(openai.BadRequestError) as wrong:
            tiny.client.responses.create(model=tiny.model, input="Hi", **{name: value})
        assert wrong.value.param == name
    with pytest.raises(openai.BadRequestError) as wrong:
        tiny.client.responses.create(model=tiny.model, input="Hi", tools=[{"type": "web_search"}])
    assert wrong.value.param == "tools"


def test_embeddings(tiny):
    texts = ["one", "two", "three", "one", "a much longer text than the others"]
    answer = tiny.client.embeddings.create(model=tiny.model, input=texts)  # base64 on the way, by the package's own choice
    vectors = [item.embedding for item in answer.data]
    assert [item.index for item in answer.data] == list(range(len(texts)))
    assert all(math.isclose(sum(x * x for x in vector), 1, rel_tol=1e-4) for vector in vectors)
    assert vectors[0] == vectors[3] != vectors[1]
    assert answer.usage.prompt_tokens > len(texts)
    floats = tiny.client.embeddings.create(model=tiny.model, input=texts[0], encoding_format="float").data[0].embedding
    assert [struct.unpack("f", struct.pack("f", x))[0] for x in floats] == pytest.approx(vectors[0], rel=1e-6)
    coded = tiny.client.embeddings.with_raw_response.create(model=tiny.model, input="one", encoding_format="base64")
    raw = base64.b64decode(json.loads(coded.text)["data"][0]["embedding"])
    assert len(raw) == 4 * len(vectors[0])
    with pytest.raises(openai.BadRequestError) as wrong:
        tiny.client.embeddings.create(model=tiny.model, input="one", dimensions=8)
    assert wrong.value.param == "dimensions"


def test_many_embeddings_at_once(tiny):
    answer = tiny.client.embeddings.create(model=tiny.model, input=[f"text {i}" for i in range(300)])
    assert len(answer.data) == 300
