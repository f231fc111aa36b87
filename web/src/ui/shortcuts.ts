// Keys that work everywhere on the page. Single letters work only while a message has the focus (see message.tsx).
import * as state from '../state';

export const shortcuts: [string, string][] = [
  ['Enter', 'send the message'],
  ['Shift+Enter', 'new line'],
  ['Esc', 'stop the answer; close a dialog'],
  ['↑', 'in the empty message box: edit your last message'],
  ['Ctrl+K', 'search conversations'],
  ['Ctrl+Shift+O', 'new conversation'],
  ['Ctrl+Shift+S', 'show or hide the sidebar'],
  ['Ctrl+.', 'settings of this conversation'],
  ['Ctrl+/', 'these shortcuts'],
  ['Alt+↑, Alt+↓', 'go from message to message'],
  ['C, E, R, B', 'on a message: copy, edit, retry, branch'],
  ['←, →', 'on a message: its other versions'],
];

export function onShortcut(event: KeyboardEvent): void {
  const command = event.ctrlKey || event.metaKey;
  if (event.key === 'Escape') return onEscape(event);
  if (event.altKey && !command && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
    if (moveFocus(event.key === 'ArrowUp' ? -1 : 1)) event.preventDefault();
    return;
  }
  if (!command || event.altKey) return;
  const action = commandOf(event);
  if (!action) return;
  event.preventDefault();
  action();
}

function commandOf(event: KeyboardEvent): (() => void) | undefined {
  const key = event.key.toLowerCase();
  if (event.shiftKey) {
    if (key === 'o') return newConversation;
    if (key === 's') return () => (state.sidebarOpen.value = !state.sidebarOpen.value);
  }
  if (key === '/' || event.code === 'Slash') return () => (state.dialog.value = 'shortcuts');
  if (event.shiftKey) return undefined;
  if (key === 'k') return focusSearch;
  if (key === '.') return () => (state.dialog.value = 'settings');
  return undefined;
}

function newConversation(): void {
  state.startNew();
  requestAnimationFrame(() => document.getElementById('composer')?.focus());
}

function focusSearch(): void {
  state.dialog.value = 'none';
  state.sidebarOpen.value = true;
  requestAnimationFrame(() => document.getElementById('search')?.focus());
}

function onEscape(event: KeyboardEvent): void {
  if (state.dialog.value !== 'none' || event.defaultPrevented) return; // a dialog closes itself
  const id = state.currentId.value;
  if (id !== null && state.live.value[id]) state.stop(id);
  else if (state.sidebarOpen.value && state.narrow()) state.sidebarOpen.value = false;
  else document.getElementById('composer')?.focus();
}

function moveFocus(step: number): boolean {
  const all = [...document.querySelectorAll<HTMLElement>('article.message')];
  if (all.length === 0) return false;
  const at = all.findIndex((one) => one.contains(document.activeElement));
  const next = at < 0 ? (step < 0 ? all.length - 1 : -1) : at + step;
  if (next >= all.length || (at < 0 && step > 0)) document.getElementById('composer')?.focus();
  else all[Math.max(0, next)]!.focus();
  return true;
}
