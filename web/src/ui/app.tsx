import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import * as state from '../state';
import { Composer } from './composer';
import { ApiKeyDialog, RenameDialog, ShortcutsDialog } from './dialogs';
import { IconButton } from './icons';
import { Playground } from './playground';
import { ServerDialog } from './server_dialog';
import { SettingsDialog } from './settings_dialog';
import { onShortcut } from './shortcuts';
import { Sidebar } from './sidebar';
import { Thread } from './thread';

export function App(): JSX.Element {
  useEffect(() => {
    document.addEventListener('keydown', onShortcut);
    return () => document.removeEventListener('keydown', onShortcut);
  }, []);
  const open = state.sidebarOpen.value;
  return (
    <>
      <a class="skip" href="#composer" onClick={skipToComposer}>
        Skip to the message box
      </a>
      <div class={`layout ${open ? 'with-sidebar' : ''}`}>
        <Sidebar />
        {open && <div class="backdrop" onClick={() => (state.sidebarOpen.value = false)} />}
        <div class="main" inert={open && state.narrow()}>
          <TopBar />
          {state.offline.value !== '' && (
            <div class="banner" role="alert">
              {state.offline.value}
            </div>
          )}
          {state.view.value === 'playground' ? (
            <Playground />
          ) : (
            <main class="chat">
              <Thread />
              <Composer />
            </main>
          )}
        </div>
      </div>
      <SettingsDialog />
      <ShortcutsDialog />
      <ServerDialog />
      <ApiKeyDialog />
      <RenameDialog />
      <div class={`toast ${state.notice.value === '' ? '' : 'shown'}`} aria-hidden="true">
        {state.notice.value}
      </div>
      <div class="unseen" role="status" aria-live="polite">
        {state.announcement.value}
      </div>
    </>
  );
}

function skipToComposer(event: Event): void {
  event.preventDefault();
  document.getElementById('composer')?.focus();
}

function TopBar(): JSX.Element {
  return (
    <header class="top-bar">
      {!state.sidebarOpen.value && (
        <>
          <IconButton
            icon="menu"
            label="Show the sidebar"
            shortcut="Ctrl+Shift+S"
            expanded={false}
            onClick={() => (state.sidebarOpen.value = true)}
          />
          <IconButton icon="plus" label="New conversation" shortcut="Ctrl+Shift+O" onClick={state.startNew} />
        </>
      )}
      <ModelChoice />
      <h1 class="unseen">{state.current.value?.title || 'New conversation'}</h1>
      <div class="grow" />
      <MemoryButton />
      <IconButton
        icon="sliders"
        label="Settings of this conversation"
        shortcut="Ctrl+."
        onClick={() => (state.dialog.value = 'settings')}
      />
    </header>
  );
}

function ModelChoice(): JSX.Element {
  const all = state.models.value;
  const bases = all.filter((one) => !one.parent);
  return (
    <span class="model-choice-frame"><select
      class="model-choice"
      aria-label="Model"
      value={state.model.value?.id ?? ''}
      disabled={all.length === 0}
      onChange={(event) => state.changeSettings({ model: event.currentTarget.value })}
    >
      {all.length === 0 && <option value="">no model yet</option>}
      {bases.map((base) => (
        <>
          <option value={base.id}>{base.id}</option>
          {all
            .filter((one) => one.parent === base.id)
            .map((adapter) => (
              <option value={adapter.id}>{`${base.id} + ${adapter.id}`}</option>
            ))}
        </>
      ))}
      {all
        .filter((one) => one.parent && !bases.some((base) => base.id === one.parent))
        .map((one) => (
          <option value={one.id}>{one.id}</option>
        ))}
    </select></span>
  );
}

export function bytes(count: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  for (; count >= 1000 && unit < units.length - 1; ++unit) count /= 1000;
  return `${count >= 100 || unit === 0 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

function MemoryButton(): JSX.Element | null {
  const server = state.server.value;
  if (!server) return null;
  const total = server.memory.reduce((sum, one) => sum + one.bytes, 0);
  return (
    <button type="button" class="chip" onClick={() => (state.dialog.value = 'server')} title="What the server is doing">
      <span class={`dot ${server.healthy ? 'good' : 'bad'}`} />
      <span class="unseen">Server: </span>
      {bytes(total)}
      <span class="unseen"> of memory</span>
    </button>
  );
}
