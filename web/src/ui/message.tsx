import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { answerParts } from '../answer_parts';
import * as state from '../state';
import type { Live } from '../state';
import { showVersion, versionsOf } from '../tree';
import type { AnswerStats, Conversation, Message } from '../types';
import { IconButton } from './icons';
import { Markdown } from './markdown_view';
import { Thinking, ToolCallView } from './folds';

interface Props {
  conversation: Conversation;
  message: Message;
  live: Live | undefined;
}

const names = { user: 'You', assistant: 'Assistant', tool: 'Tool result' };

export function MessageView({ conversation, message, live }: Props): JSX.Element {
  const editing = useSignal(false);
  const actions = actionsOf(conversation, message, () => (editing.value = true));
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = actions.byKey[event.key.toLowerCase()];
    if (!act || live) return;
    event.preventDefault();
    act();
  };
  const name = message.role === 'assistant' ? (message.model ?? names.assistant) : names[message.role];
  return (
    <article id={`message-${message.id}`} class={`message ${message.role}`} tabIndex={-1} aria-label={name} onKeyDown={onKeyDown}>
      {message.role === 'assistant' && (
        <div class="author" aria-hidden="true">
          <img src="./icon.svg" alt="" width="20" height="20" />
          {name}
        </div>
      )}
      {editing.value ? (
        <Editor message={message} done={() => (editing.value = false)} />
      ) : (
        <Body conversation={conversation} message={message} live={live} />
      )}
      {!live && !editing.value && message.role !== 'tool' && <Actions conversation={conversation} message={message} actions={actions} />}
    </article>
  );
}

function Body({ conversation, message, live }: Props): JSX.Element {
  if (message.role === 'user') return <div class="bubble">{message.content}</div>;
  if (message.role === 'tool') {
    return (
      <details class="fold">
        <summary>Result of the tool</summary>
        <pre tabIndex={0}>{message.content}</pre>
      </details>
    );
  }
  const parts = answerParts(live ?? message);
  const waiting = live !== undefined && live.firstToken === undefined;
  const open = state.openCalls(conversation);
  return (
    <>
      {parts.reasoning !== '' && <Thinking text={parts.reasoning} going={live !== undefined && parts.thinking} />}
      {waiting && (
        <div class="waiting" role="img" aria-label="waiting for the first word">
          <i />
          <i />
          <i />
        </div>
      )}
      <Markdown text={parts.text} live={live !== undefined} />
      {parts.toolCalls.map((call) => (
        <ToolCallView key={call.id} call={call} open={open.some((one) => one.id === call.id)} />
      ))}
      {message.error && (
        <p class="error" role="alert">
          {message.error}
        </p>
      )}
      {!live && message.finish === 'length' && (
        <p class="note">The answer reached its limit of tokens, or filled the context.</p>
      )}
      {!live && message.finish === 'stopped' && <p class="note">Stopped.</p>}
    </>
  );
}

function Editor({ message, done }: { message: Message; done: () => void }): JSX.Element {
  const text = useSignal(message.content);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    box.current?.focus();
    box.current?.setSelectionRange(message.content.length, message.content.length);
  }, []);
  const finish = (): void => {
    done();
    if (text.value.trim() !== '') state.editMessage(message.id, text.value);
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        finish();
      }}
    >
      <textarea
        ref={box}
        aria-label="Edit your message"
        value={text.value}
        rows={Math.min(12, text.value.split('\n').length + 1)}
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.preventDefault();
            event.stopPropagation();
            done();
          } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            finish();
          }
        }}
      />
      <div class="row">
        <button type="button" class="plain" onClick={done}>
          Cancel
        </button>
        <button type="submit" class="primary">
          Send
        </button>
      </div>
    </form>
  );
}

interface MessageActions {
  byKey: Record<string, () => void>;
  versions: Message[];
  at: number;
  step: (by: number) => void;
}

function actionsOf(conversation: Conversation, message: Message, edit: () => void): MessageActions {
  const versions = versionsOf(conversation, message);
  const at = versions.findIndex((one) => one.id === message.id);
  const step = (by: number): void => {
    const other = versions[at + by];
    if (!other || state.live.value[conversation.id]) return;
    const focused = document.activeElement?.matches('article.message');
    state.update(conversation.id, (one) => showVersion(one, other.id));
    if (focused) requestAnimationFrame(() => document.getElementById(`message-${other.id}`)?.focus());
  };
  const byKey: Record<string, () => void> = {
    c: () => void state.copyText(answerParts(message).text),
    b: () => state.branch(message.id),
    arrowleft: () => step(-1),
    arrowright: () => step(1),
  };
  if (message.role === 'user') byKey.e = edit;
  if (message.role !== 'tool') byKey.r = () => state.retry(message.id);
  return { byKey, versions, at, step };
}

function Actions({ conversation, message, actions }: { conversation: Conversation; message: Message; actions: MessageActions }): JSX.Element {
  const copied = useSignal(false);
  const { byKey, versions, at, step } = actions;
  const copy = async (): Promise<void> => {
    copied.value = await state.copyText(answerParts(message).text);
    setTimeout(() => (copied.value = false), 1500);
  };
  const frozen = state.live.value[conversation.id] !== undefined;
  return (
    <div class="actions">
      {versions.length > 1 && (
        <div class="versions" role="group" aria-label="Versions">
          <IconButton icon="left" label="Previous version" disabled={frozen || at === 0} onClick={() => step(-1)} />
          <span aria-label={`Version ${at + 1} of ${versions.length}`} role="img">
            {at + 1}/{versions.length}
          </span>
          <IconButton icon="right" label="Next version" disabled={frozen || at === versions.length - 1} onClick={() => step(1)} />
        </div>
      )}
      <div class="tools">
        <IconButton icon={copied.value ? 'check' : 'copy'} label="Copy" onClick={() => void copy()} />
        {byKey.e && <IconButton icon="edit" label="Edit" onClick={byKey.e} disabled={frozen} />}
        {message.role === 'assistant' && byKey.r && (
          <IconButton icon="retry" label="Retry" onClick={byKey.r} disabled={frozen} />
        )}
        <IconButton icon="branch" label="Branch into a new conversation" onClick={byKey.b!} />
      </div>
      {message.stats && <Stats stats={message.stats} />}
    </div>
  );
}

function Stats({ stats }: { stats: AnswerStats }): JSX.Element {
  const writing = stats.seconds - stats.firstToken;
  const rate = writing > 0 && stats.answerTokens > 1 ? (stats.answerTokens - 1) / writing : 0;
  const parts = [`${stats.answerTokens} ${stats.answerTokens === 1 ? 'token' : 'tokens'}`];
  if (rate > 0) parts.push(`${rate.toFixed(1)} tokens/s`);
  parts.push(`first after ${stats.firstToken < 1 ? `${Math.round(stats.firstToken * 1000)} ms` : `${stats.firstToken.toFixed(1)} s`}`);
  if (stats.cachedTokens > 0) parts.push(`${stats.cachedTokens} of ${stats.promptTokens} prompt tokens cached`);
  return <span class="stats">{parts.join(' · ')}</span>;
}
