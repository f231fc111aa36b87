"""Chat by the official openai package: whole, streamed, tools and structured output."""

import json
from enum import Enum

import openai
import pydantic
import pytest

HELLO = [{"role": "user", "content": "Say hello."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city now.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def test_whole_and_streamed_alike(tiny):
    ask = dict(model=tiny.model, messages=HELLO, max_tokens=20, temperature=0)
    whole = tiny.client.chat.completions.create(**ask)
    assert whole.usage.completion_tokens <= 20
    text, last = "", None
    for chunk in tiny.client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            last = chunk.choices[0].finish_reason or last
        else:
            usage = chunk.usage
    assert text == whole.choices[0].message.content
    assert last == whole.choices[0].finish_reason
    assert usage.completion_tokens == whole.usage.completion_tokens


def test_choices_logprobs_and_models(tiny):
    answer = tiny.client.chat.completions.create(model=tiny.model, messages=HELLO, max_tokens=5, n=3, seed=1, logprobs=True,
                                                 top_logprobs=2, logit_bias={"2": -100})
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len(answer.choices[0].logprobs.content) == 5
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 2
    assert [model.id for model in tiny.client.models.list()] == [tiny.model]
    assert tiny.client.models.retrieve(tiny.model).id == tiny.model


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_required_tool_is_called_with_good_arguments(tiny, choice):
    for seed in range(4):
        answer = tiny.client.chat.completions.create(model=tiny.model, messages=HELLO, tools=[WEATHER], tool_choice=choice,
                                                     max_tokens=400, parallel_tool_calls=False, seed=seed)
        assert answer.choices[0].finish_reason == "tool_calls"
        assert answer.choices[0].message.content is None
        (call,) = answer.choices[0].message.tool_calls
        assert call.function.name == "get_weather"
        arguments = json.loads(call.function.arguments)
        assert set(arguments) == {"city", "unit"} and arguments["unit"] in ("celsius", "fahrenheit")


def test_a_streamed_call_is_the_whole_one(tiny):
    ask = dict(model=tiny.model, messages=HELLO, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False,
               max_tokens=400, temperature=0)
    whole = tiny.client.chat.completions.create(**ask).choices[0].message.tool_calls[0]
    name, arguments, finish, pieces = "", "", None, 0
    for chunk in tiny.client.chat.completions.create(**ask, stream=True):
        choice = chunk.choices[0]
        finish = choice.finish_reason or finish
        for call in choice.delta.tool_calls or []:
            assert call.index == 0
            name += call.function.name or ""
            arguments += call.function.arguments or ""
            pieces += 1
    assert (name, arguments) == (whole.function.name, whole.function.arguments)
    assert finish == "tool_calls" and pieces > 3


def test_results_of_tools_go_back(tiny):
    call = tiny.client.chat.completions.create(model=tiny.model, messages=HELLO, tools=[WEATHER], tool_choice="required",
                                               parallel_tool_calls=False, max_tokens=400).choices[0].message
    messages = HELLO + [call, {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "sunny"}]
    answer = tiny.client.chat.completions.create(model=tiny.model, messages=messages, tools=[WEATHER], max_tokens=10)
    assert answer.choices[0].finish_reason


class Size(str, Enum):
    small = "small"
    large = "large"


class Item(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=20)
    size: Size
    count: int = pydantic.Field(ge=0, le=99)


class Order(pydantic.BaseModel):
    items: list[Item] = pydantic.Field(max_length=2)
    express: bool


def test_structured_output_fits_its_pydantic_model(tiny):
    for seed in range(4):
        answer = tiny.client.chat.completions.parse(model=tiny.model, messages=HELLO, response_format=Order, max_tokens=800,
                                                    seed=seed)
        order = answer.choices[0].message.parsed
        assert isinstance(order, Order)
        assert all(0 <= item.count <= 99 for item in order.items)


def test_the_stream_helper_parses_as_it_goes(tiny):
    with tiny.client.chat.completions.stream(model=tiny.model, messages=HELLO, response_format=Order, max_tokens=800) as stream:
        kinds = {event.type for event in stream}
        completion = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(completion.choices[0].message.parsed, Order)


def test_errors_are_those_of_the_package(tiny):
    with pytest.raises(openai.BadRequestError) as wrong:
        tiny.client.chat.completions.create(model=tiny.model, messages=HELLO, temperature=9)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.NotFoundError):
        tiny.client.chat.completions.create(model="nobody", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="multipleOf"):
        tiny.client.chat.completions.create(
            model=tiny.model, messages=HELLO,
            response_format={"type": "json_schema",
                             "json_schema": {"name": "x", "schema": {"type": "integer", "multipleOf": 7}}})


def test_an_able_model_calls_the_tool_by_itself(able):
    messages = [{"role": "user", "content": "What is the weather in Paris, in celsius?"}]
    answer = able.client.chat.completions.create(model=able.model, messages=messages, tools=[WEATHER], temperature=0,
                                                 tool_choice="required", max_tokens=100)
    arguments = json.loads(answer.choices[0].message.tool_calls[0].function.arguments)
    assert arguments == {"city": "Paris", "unit": "celsius"}
    # Left alone it calls too, in a form of its own that is no marker.
    free = able.client.chat.completions.create(model=able.model, messages=messages, tools=[WEATHER], temperature=0, max_tokens=100)
    assert free.choices[0].finish_reason == "tool_calls"
    assert json.loads(free.choices[0].message.tool_calls[0].function.arguments) == {"city": "Paris", "unit": "celsius"}


def test_an_able_model_fills_a_pydantic_model_with_sense(able):
    class Person(pydantic.BaseModel):
        name: str
        age: int

    answer = able.client.chat.completions.parse(
        model=able.model, temperature=0, max_tokens=100, response_format=Person,
        messages=[{"role": "user", "content": "Anna is 31 years old. Extract name and age as JSON."}])
    assert answer.choices[0].message.parsed == Person(name="Anna", age=31)
