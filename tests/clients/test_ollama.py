"""Ollama's calls by its own Python package."""

import json

import ollama
import pytest


@pytest.fixture(scope="module")
def client(tiny):
    return ollama.Client(host=tiny.url)


def test_models(tiny, client):
    assert [model.model for model in client.list().models] == [tiny.model]
    shown = client.show(tiny.model + ":latest")
    assert "completion" in shown.capabilities
    assert shown.modelinfo["general.architecture"] == "qwen2"
    with pytest.raises(ollama.ResponseError) as wrong:
        client.show("nobody")
    assert wrong.value.status_code == 404


def test_chat_whole_and_streamed(tiny, client):
    ask = dict(model=tiny.model, messages=[{"role": "user", "content": "Hi"}], options={"num_predict": 12, "temperature": 0})
    whole = client.chat(**ask)
    assert whole.done and whole.done_reason in ("stop", "length")
    assert whole.prompt_eval_count > 0 and whole.total_duration > 0
    pieces = list(client.chat(**ask, stream=True))
    assert "".join(piece.message.content for piece in pieces) == whole.message.content
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert pieces[-1].eval_count == whole.eval_count


def test_generate(tiny, client):
    answer = client.generate(model=tiny.model, prompt="Hi", system="Be brief.", options={"num_predict": 5})
    assert answer.done and answer.eval_count <= 5
    raw = client.generate(model=tiny.model, prompt="Once", raw=True, options={"num_predict": 5})
    assert raw.prompt_eval_count < answer.prompt_eval_count
    assert client.generate(model=tiny.model, prompt="").done_reason == "load"


def test_a_format_is_held(tiny, client):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["n"]}
    answer = client.chat(model=tiny.model, messages=[{"role": "user", "content": "?"}], format=schema,
                         options={"num_predict": 200})
    assert 1 <= json.loads(answer.message.content)["n"] <= 9


def test_tools_are_told_and_their_results_taken(tiny, client):
    tool = {"type": "function", "function": {"name": "now", "description": "The time.", "parameters": {"type": "object", "properties": {}}}}
    messages = [{"role": "user", "content": "Time?"},
                {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "now", "arguments": {}}}]},
                {"role": "tool", "content": "12:00", "tool_name": "now"}]
    answer = client.chat(model=tiny.model, messages=messages, tools=[tool], options={"num_predict": 8})
    assert answer.done


def test_embeddings(tiny, client):
    answer = client.embed(model=tiny.model, input=["one", "two"])
    assert len(answer.embeddings) == 2
    assert client.embeddings(model=tiny.model, prompt="one").embedding == pytest.approx(answer.embeddings[0])


def test_images_are_refused(tiny, client):
    with pytest.raises(ollama.ResponseError, match="text only"):
        client.chat(model=tiny.model, messages=[{"role": "user", "content": "?", "images": ["aGk="]}])
