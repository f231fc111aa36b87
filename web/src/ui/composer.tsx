import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import * as state from '../state';
import { shownPath } from '../tree';
import { Icon } from './icons';

// What was typed and not sent, by conversation, as long as the page lives.
const drafts = new Map<string, string>();

export function Composer(): JSX.Element {
  const id = state.currentId.value ?? '';
  const text = useSignal('');
  const box = useRef<HTMLTextAreaElement>(null);
  const live = id === '' ? undefined : state.live.value[id];

  useEffect(() => {
    text.value = drafts.get(id) ?? '';
    if (!state.narrow()) box.current?.focus();
  }, [id]);
  useEffect(() => {
    const area = box.current!;
    area.style.height = 'auto';
    area.style.height = `${Math.min(area.scrollHeight, window.innerHeight * 0.4)}px`;
  }, [text.value]);

  const type = (value: string): void => {
    text.value = value;
    drafts.set(id, value);
  };
  const send = (): void => {
    const what = text.value.trim();
    if (what === '' || live || state.models.value.length === 0) return;
    type('');
    state.send(what);
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div class="box">
        <textarea
          id="composer"
          ref={box}
          rows={1}
          aria-label="Message"
          aria-keyshortcuts="Enter"
          placeholder={`Message ${state.model.value?.id ?? 'the model'}`}
          value={text.value}
          onInput={(event) => type(event.currentTarget.value)}
          onKeyDown={(event) => onKey(event, text.value, send)}
        />
        {live ? (
          <button type="button" class="round" aria-label="Stop" title="Stop (Esc)" onClick={() => state.stop(id)}>
            <Icon name="stop" />
          </button>
        ) : (
          <button type="submit" class="round" aria-label="Send" title="Send (Enter)" disabled={text.value.trim() === ''}>
            <Icon name="send" />
          </button>
        )}
      </div>
      <Meters />
    </form>
  );
}

function onKey(event: KeyboardEvent, text: string, send: () => void): void {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  } else if (event.key === 'ArrowUp' && text === '' && !event.altKey) {
    const last = [...document.querySelectorAll<HTMLElement>('article.message.user')].at(-1);
    if (!last) return;
    event.preventDefault();
    last.querySelector<HTMLElement>('button[aria-label="Edit"]')?.click();
  }
}

// How fast the answer comes, and how much of the context the conversation fills.
function Meters(): JSX.Element {
  const conversation = state.current.value;
  const live = conversation ? state.live.value[conversation.id] : undefined;
  const context = state.model.value?.context ?? 0;
  const last = conversation ? shownPath(conversation).findLast((message) => message.stats?.promptTokens) : undefined;
  const before = last?.stats ? last.stats.promptTokens + last.stats.answerTokens : 0;
  const used = before + (live?.pieces ?? 0);
  const share = context > 0 ? Math.min(1, used / context) : 0;
  const format = state.settings.value.format;
  return (
    <div class="meters">
      <span class="rate">
        {live ? (live.firstToken === undefined ? 'reading…' : `${live.rate.toFixed(1)} tokens/s`) : ''}
        {!live && <span class="hint">Enter sends, Shift+Enter makes a new line</span>}
      </span>
      {format !== 'text' && <span class="tag">{format === 'json_schema' ? 'answers by schema' : 'answers in JSON'}</span>}
      {context > 0 && used > 0 && (
        <span class={`context ${share > 0.85 ? 'high' : ''}`}>
          <meter class="unseen" min={0} max={context} value={used} aria-label="Context in use">
            {used} of {context} tokens
          </meter>
          <span class="track" aria-hidden="true">
            <span class="fill" style={{ width: `${Math.max(1, share * 100)}%` }} />
          </span>
          <span aria-hidden="true">
            {used.toLocaleString('en')} / {context.toLocaleString('en')}
          </span>
        </span>
      )}
    </div>
  );
}
