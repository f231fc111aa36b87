// What an answer has besides its text, folded away.
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import * as state from '../state';
import type { ToolCall } from '../types';
import { Icon } from './icons';
import { JsonView, Markdown } from './markdown_view';

export function Thinking({ text, going }: { text: string; going: boolean }): JSX.Element {
  return (
    <details class={`fold ${going ? 'going' : ''}`}>
      <summary>
        <Icon name="spark" />
        {going ? 'Thinking…' : 'Thoughts'}
      </summary>
      <div class="inside">
        <Markdown text={text} live={going} />
      </div>
    </details>
  );
}

export function ToolCallView({ call, open }: { call: ToolCall; open: boolean }): JSX.Element {
  const result = useSignal('');
  return (
    <>
      <details class="fold">
        <summary>
          <Icon name="tool" />
          Calls <code>{call.name === '' ? 'a tool' : call.name}</code>
        </summary>
        <div class="inside">
          <JsonView text={pretty(call.arguments)} />
        </div>
      </details>
      {open && (
        <form
          class="tool-result"
          onSubmit={(event) => {
            event.preventDefault();
            state.giveToolResult(call.id, result.value);
          }}
        >
          <textarea
            aria-label={`What ${call.name} returned`}
            placeholder={`What did ${call.name} return?`}
            rows={2}
            value={result.value}
            onInput={(event) => (result.value = event.currentTarget.value)}
          />
          <button type="submit" class="primary">
            Give the result
          </button>
        </form>
      )}
    </>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
