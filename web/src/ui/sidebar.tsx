import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { download, fileName, fromJson, toJson, toMarkdown } from '../export';
import * as state from '../state';
import { search } from '../tree';
import type { Conversation } from '../types';
import { Icon, IconButton, type IconName } from './icons';

export function Sidebar(): JSX.Element {
  const query = useSignal('');
  const open = state.sidebarOpen.value;
  const found = search(state.conversations.value, query.value);
  return (
    <aside class="sidebar" aria-label="Conversations" inert={!open}>
      <div class="brand">
        <img src="./icon.svg" alt="" width="30" height="30" />
        <span class="wordmark">Kinglet</span>
        <IconButton
          icon="menu"
          label="Hide the sidebar"
          shortcut="Ctrl+Shift+S"
          expanded={true}
          onClick={() => (state.sidebarOpen.value = false)}
        />
      </div>
      <button type="button" class="new-chat" onClick={state.startNew} aria-keyshortcuts="Control+Shift+O">
        <Icon name="plus" />
        New conversation
      </button>
      <label class="search">
        <span class="unseen">Search conversations</span>
        <Icon name="search" />
        <input
          id="search"
          type="search"
          placeholder="Search"
          value={query.value}
          onInput={(event) => (query.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && found[0]) state.open(found[0].conversation.id);
          }}
        />
        <kbd aria-hidden="true">Ctrl K</kbd>
      </label>
      <nav class="list" aria-label="Conversations">
        {groups(found).map(([name, entries]) => (
          <section key={name}>
            <h2>{name}</h2>
            <ul>
              {entries.map(({ conversation, excerpt }) => (
                <Entry key={conversation.id} conversation={conversation} excerpt={excerpt} />
              ))}
            </ul>
          </section>
        ))}
        {found.length === 0 && (
          <p class="quiet">{query.value === '' ? 'Conversations stay in this browser.' : 'Nothing has these words.'}</p>
        )}
      </nav>
      <Footer />
    </aside>
  );
}

type Found = ReturnType<typeof search>;

function groups(found: Found): [string, Found][] {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const day = 24 * 3600 * 1000;
  const names: [string, number][] = [
    ['Today', midnight],
    ['Yesterday', midnight - day],
    ['Last seven days', midnight - 7 * day],
    ['Earlier', -Infinity],
  ];
  const out: [string, Found][] = names.map(([name]) => [name, []]);
  for (const one of found) out[names.findIndex(([, since]) => one.conversation.updated >= since)]![1].push(one);
  return out.filter(([, entries]) => entries.length > 0);
}

function Entry({ conversation, excerpt }: { conversation: Conversation; excerpt: string }): JSX.Element {
  const here = state.currentId.value === conversation.id && state.view.value === 'chat';
  const title = conversation.title === '' ? 'Untitled' : conversation.title;
  return (
    <li class={here ? 'here' : ''}>
      <button
        type="button"
        class="entry"
        aria-current={here ? 'page' : undefined}
        onClick={() => state.open(conversation.id)}
      >
        <span class="title">{title}</span>
        {state.live.value[conversation.id] && <span class="dot busy" title="an answer is being written" />}
        {excerpt !== '' && <span class="excerpt">{excerpt}</span>}
      </button>
      <Menu label={`More about ${title}`} items={itemsOf(conversation)} />
    </li>
  );
}

interface MenuItem {
  icon: IconName;
  text: string;
  act: () => void;
}

function itemsOf(conversation: Conversation): MenuItem[] {
  const name = (ending: string): string => fileName(conversation.title, ending);
  return [
    {
      icon: 'edit',
      text: 'Rename',
      act: () => {
        state.open(conversation.id);
        state.dialog.value = 'rename';
      },
    },
    { icon: 'download', text: 'Export as Markdown', act: () => download(name('md'), 'text/markdown', toMarkdown(conversation)) },
    { icon: 'download', text: 'Export as JSON', act: () => download(name('json'), 'application/json', toJson([conversation])) },
    {
      icon: 'trash',
      text: 'Delete',
      act: () => {
        if (confirm(`Delete “${conversation.title || 'Untitled'}”? It is kept nowhere else.`)) {
          void state.deleteConversation(conversation.id);
        }
      },
    },
  ];
}

// A button that opens a list of actions: arrows move in it, Escape closes it, and the focus goes back.
function Menu({ label, items }: { label: string; items: MenuItem[] }): JSX.Element {
  const open = useSignal(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open.value) return undefined;
    root.current?.querySelector<HTMLElement>('[role=menuitem]')?.focus();
    const outside = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) open.value = false;
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open.value]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!open.value) return;
    const all = [...(root.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') {
      open.value = false;
      root.current?.querySelector<HTMLElement>('.icon-button')?.focus();
    } else if (step !== undefined) {
      all[(at + step + all.length) % all.length]?.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" ref={root} onKeyDown={onKeyDown}>
      <button
        type="button"
        class="icon-button"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={open.value}
        onClick={() => (open.value = !open.value)}
      >
        <Icon name="dots" />
      </button>
      {open.value && (
        <div class="items" role="menu" aria-label={label}>
          {items.map((item) => (
            <button
              type="button"
              role="menuitem"
              onClick={() => {
                open.value = false;
                item.act();
              }}
            >
              <Icon name={item.icon} />
              {item.text}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

const nextTheme = { system: 'light', light: 'dark', dark: 'system' } as const;
const themeIcons = { system: 'auto', light: 'sun', dark: 'moon' } as const;

function Footer(): JSX.Element {
  const file = useRef<HTMLInputElement>(null);
  const theme = state.theme.value;
  const playground = state.view.value === 'playground';
  return (
    <div class="sidebar-footer">
      <button
        type="button"
        class={`wide ${playground ? 'here' : ''}`}
        aria-current={playground ? 'page' : undefined}
        onClick={showPlayground}
      >
        <Icon name="braces" />
        JSON playground
      </button>
      <div class="row">
        <IconButton
          icon={themeIcons[theme]}
          label={`Colours: ${theme === 'system' ? 'as the system' : theme}; change`}
          onClick={() => state.setTheme(nextTheme[theme])}
        />
        <IconButton icon="download" label="Export all conversations" onClick={exportAll} />
        <IconButton icon="upload" label="Import conversations" onClick={() => file.current?.click()} />
        <IconButton icon="key" label="API key" onClick={() => (state.dialog.value = 'key')} />
        <IconButton
          icon="keyboard"
          label="Keyboard shortcuts"
          shortcut="Ctrl+/"
          onClick={() => (state.dialog.value = 'shortcuts')}
        />
        <input
          ref={file}
          type="file"
          accept="application/json,.json"
          hidden
          aria-label="File of conversations"
          onChange={(event) => void importFile(event.currentTarget)}
        />
      </div>
    </div>
  );
}

function showPlayground(): void {
  state.view.value = 'playground';
  if (state.narrow()) state.sidebarOpen.value = false;
  history.replaceState(null, '', '#/playground');
}

function exportAll(): void {
  const all = state.conversations.value;
  download(`kinglet-${new Date().toISOString().slice(0, 10)}.json`, 'application/json', toJson(all));
}

async function importFile(input: HTMLInputElement): Promise<void> {
  const file = input.files?.[0];
  input.value = '';
  if (!file) return;
  try {
    const all = fromJson(await file.text());
    state.importAll(all);
    state.say(`${all.length} ${all.length === 1 ? 'conversation' : 'conversations'} imported.`);
  } catch (error) {
    state.say((error as Error).message);
  }
}
