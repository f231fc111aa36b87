// Server-sent events out of a body that comes in pieces cut anywhere.

/** Yields the data of each event. */
export async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let data: string[] = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      for (;;) {
        const line = /\r\n|\n|\r(?=.)/s.exec(rest);
        if (!line) break;
        const text = rest.slice(0, line.index);
        rest = rest.slice(line.index + line[0].length);
        if (text === '' && data.length > 0) {
          yield data.join('\n');
          data = [];
        } else if (text.startsWith('data:')) {
          data.push(text.slice(text[5] === ' ' ? 6 : 5));
        }
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
