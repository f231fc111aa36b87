// The official openai package of npm against a real `kinglet serve`: KINGLET_URL says where, KINGLET_MODEL which model.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';

const model = process.env.KINGLET_MODEL;
const client = new OpenAI({ baseURL: `${process.env.KINGLET_URL}/v1`, apiKey: 'none-is-needed', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Say hello.' }];
const parameters = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 20 } },
  required: ['city'],
  additionalProperties: false,
};

test('chat, whole and streamed', async () => {
  const ask = { model, messages, max_tokens: 20, temperature: 0 };
  const whole = await client.chat.completions.create(ask);
  let text = '';
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? '';
  }
  assert.equal(text, whole.choices[0].message.content);
});

test('a tool that must be called', async () => {
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters, strict: true } }];
  const ask = { model, messages, tools, tool_choice: 'required', parallel_tool_calls: false, max_tokens: 300 };
  const answer = await client.chat.completions.create(ask);
  assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  const [call] = answer.choices[0].message.tool_calls;
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ['city']);
  const stream = client.chat.completions.stream({ ...ask, temperature: 0 });
  const last = await stream.finalChatCompletion();
  assert.equal(last.choices[0].message.tool_calls[0].function.name, 'get_weather');
});

test('structured output', async () => {
  const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false };
  const answer = await client.chat.completions.create({
    model,
    messages,
    max_tokens: 100,
    response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } },
  });
  assert.equal(typeof JSON.parse(answer.choices[0].message.content).ok, 'boolean');
});

test('responses, whole and as events', async () => {
  const ask = { model, input: 'Hi', max_output_tokens: 20, temperature: 0 };
  const whole = await client.responses.create(ask);
  let text = '';
  let last;
  for await (const event of await client.responses.create({ ...ask, stream: true })) {
    if (event.type === 'response.output_text.delta') text += event.delta;
    last = event;
  }
  assert.equal(text, whole.output_text);
  assert.equal(last.type, `response.${whole.status}`);
});

test('embeddings', async () => {
  const answer = await client.embeddings.create({ model, input: ['one', 'two'] });
  assert.equal(answer.data.length, 2);
  const length = answer.data[0].embedding.reduce((sum, x) => sum + x * x, 0);
  assert.ok(Math.abs(length - 1) < 1e-4);
});

test('errors', async () => {
  await assert.rejects(client.chat.completions.create({ model, messages, temperature: 9 }), OpenAI.BadRequestError);
});
