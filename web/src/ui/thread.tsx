import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import * as state from '../state';
import { shownPath } from '../tree';
import { Icon } from './icons';
import { MessageView } from './message';

const kNear = 90; // pixels from the end within which the view follows the answer

export function Thread(): JSX.Element {
  const scroller = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const away = useSignal(false);
  const conversation = state.current.value;
  const path = conversation ? shownPath(conversation) : [];
  const busy = conversation ? state.live.value[conversation.id] : undefined;

  const follow = (): void => {
    const box = scroller.current;
    if (box && following.current) box.scrollTop = box.scrollHeight;
  };
  useLayoutEffect(follow);
  useEffect(() => {
    following.current = true;
    follow();
  }, [conversation?.id, path.length]);

  const onScroll = (): void => {
    const box = scroller.current!;
    following.current = box.scrollHeight - box.scrollTop - box.clientHeight < kNear;
    away.value = !following.current;
  };
  return (
    <div class="thread-frame">
      <div
        class="thread"
        ref={scroller}
        onScroll={onScroll}
        tabIndex={path.length > 0 ? 0 : undefined}
        role="region"
        aria-label="Messages"
        aria-busy={busy !== undefined}
      >
        {path.length === 0 ? (
          <Welcome />
        ) : (
          <div class="column">
            {path.map((message) => (
              <MessageView
                key={message.id}
                conversation={conversation!}
                message={message}
                live={busy?.message === message.id ? busy : undefined}
              />
            ))}
          </div>
        )}
      </div>
      {away.value && path.length > 0 && (
        <button
          type="button"
          class="to-end"
          onClick={() => {
            following.current = true;
            follow();
          }}
        >
          <Icon name="down" />
          <span class="unseen">To the end</span>
        </button>
      )}
    </div>
  );
}

const suggestions: [string, string, string][] = [
  ['Write code', 'a Python function that finds duplicate files', 'Write a Python function that finds duplicate files in a folder by their content, and explain how it works.'],
  ['Explain', 'what a hash table is, with an example', 'Explain what a hash table is, in plain words and with a small example in code.'],
  ['Make a table', 'of sorting algorithms and their costs', 'Make a table of five sorting algorithms with their average and worst time and whether they are stable.'],
  ['Do the maths', 'the quadratic formula, step by step', 'Derive the quadratic formula step by step, with the formulas in LaTeX.'],
];

function Welcome(): JSX.Element {
  return (
    <div class="welcome">
      <img src="./icon.svg" alt="" width="72" height="72" />
      <h2>What shall we work on?</h2>
      <p class="quiet">
        Everything stays between this browser and your server.
      </p>
      <div class="suggestions">
        {suggestions.map(([verb, rest, text]) => (
          <button type="button" onClick={() => state.send(text)} disabled={state.models.value.length === 0}>
            <strong>{verb}</strong>
            <span>{rest}</span>
          </button>
        ))}
      </div>
    </div>
  );
}
