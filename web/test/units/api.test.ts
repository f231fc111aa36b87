import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatBody, mergeToolCalls, parseMetrics } from '../../src/api';
import { eventData } from '../../src/sse';
import { defaultSettings } from '../../src/types';

async function eventsOf(text: string, size: number): Promise<string[]> {
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
  const out: string[] = [];
  for await (const data of eventData(body)) out.push(data);
  return out;
}

test('events survive any cut', async () => {
  const text = ': hello\n\ndata: {"a":"ä€𝄞"}\n\nevent: x\r\ndata:two\r\ndata: lines\r\n\r\ndata: [DONE]\n\n';
  for (const size of [1, 2, 3, 7, 1000]) {
    assert.deepEqual(await eventsOf(text, size), ['{"a":"ä€𝄞"}', 'two\nlines', '[DONE]']);
  }
});

test('a request says only what is set', () => {
  const message = { id: 'x', parent: null, role: 'user' as const, content: 'Hi', created: 0 };
  const body = chatBody({ ...defaultSettings, model: 'm', system: 'Be brief.', topK: 5, stop: 'END\n', temperature: undefined }, [message]);
  assert.deepEqual(body, {
    model: 'm', top_p: 0.95, min_p: 0.05, top_k: 5, stop: ['END'], stream: true, stream_options: { include_usage: true },
    messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Hi' }],
  });
  assert.throws(() => chatBody({ ...defaultSettings, format: 'json_schema', schema: '{' }, []), /schema is not JSON/);
});

test('metrics are summed over models', () => {
  const state = parseMetrics(
    '# HELP kinglet_answers_running x\nkinglet_answers_running{model="a"} 2\nkinglet_answers_running{model="b"} 1\n' +
      'kinglet_memory_bytes{use="weights"} 1e6\nkinglet_memory_bytes{use="cache"} 5\n',
  );
  assert.equal(state.running, 3);
  assert.deepEqual(state.memory, [{ use: 'weights', bytes: 1e6 }, { use: 'cache', bytes: 5 }]);
});

test('tool calls come in pieces', () => {
  let calls = mergeToolCalls([], [{ index: 0, id: 'c1', name: 'add', arguments: '{"a"' }]);
  calls = mergeToolCalls(calls, [{ index: 0, arguments: ':1}' }, { index: 1, id: 'c2', name: 'sub' }]);
  assert.deepEqual(calls, [{ id: 'c1', name: 'add', arguments: '{"a":1}' }, { id: 'c2', name: 'sub', arguments: '' }]);
});
