import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerParts } from '../../src/answer_parts';
import { fromJson, toJson, toMarkdown } from '../../src/export';
import * as tree from '../../src/tree';
import { defaultSettings } from '../../src/types';

function talk() {
  let conversation = tree.newConversation({ ...defaultSettings, system: 'Be brief.' }, 1);
  conversation = tree.append(conversation, { id: 'a', parent: null, role: 'user', content: 'Hi', created: 2 });
  const content = '<think>hm</think>Hello\n<tool_call>{"name":"f","arguments":{"x":1}}</tool_call>';
  return tree.append(conversation, { id: 'b', parent: 'a', role: 'assistant', content, model: 'm', created: 3 });
}

test('thinking and calls are told from the answer', () => {
  const parts = answerParts({ content: talk().messages.b!.content });
  assert.equal(parts.reasoning, 'hm');
  assert.equal(parts.text.trim(), 'Hello');
  assert.deepEqual(parts.toolCalls, [{ id: 'call_0', name: 'f', arguments: '{"x":1}' }]);
  assert.equal(answerParts({ content: '<think>not yet' }).thinking, true);
});

test('Markdown has the path', () => {
  const text = toMarkdown(talk());
  for (const part of ['# Hi', '**System**', '**You**\n\nHi', '**m**', '<details><summary>Thinking', 'Calls `f`']) {
    assert.ok(text.includes(part), part);
  }
});

test('JSON comes back as it went, under another id', () => {
  const before = talk();
  const [after] = fromJson(toJson([before]));
  assert.notEqual(after!.id, before.id);
  assert.deepEqual({ ...after, id: before.id }, before);
});

test('other files are refused', () => {
  assert.throws(() => fromJson('x'), /not JSON/);
  assert.throws(() => fromJson('{}'), /no conversations/);
  assert.throws(() => fromJson('{"format":"kinglet-conversations","conversations":[{"messages":{"a":{"id":"a"}}}]}'), /damaged/);
});
