// What the page knows, as signals, and everything that changes it.
import { batch, computed, signal } from '@preact/signals';
import { answerParts } from './answer_parts';
import * as api from './api';
import * as database from './database';
import * as tree from './tree';
import { defaultSettings, type Conversation, type Message, type Settings } from './types';

export type Theme = 'system' | 'light' | 'dark';
export type View = 'chat' | 'playground';
export type Dialog = 'none' | 'settings' | 'shortcuts' | 'key' | 'server' | 'rename';

/** An answer while it is written; what it says lies in its message once it has ended. */
export interface Live {
  message: string;
  content: string;
  reasoning: string;
  toolCalls: NonNullable<Message['toolCalls']>;
  begun: number;
  firstToken: number | undefined;
  /** Pieces so far: about one for each token. */
  pieces: number;
  /** Tokens a second, of late. */
  rate: number;
}

export const conversations = signal<Conversation[]>([]);
export const currentId = signal<string | null>(null);
/** Where nothing has been said yet: it becomes a conversation with its first message. */
export const draftSettings = signal<Settings>(loadDefaults());
export const live = signal<Record<string, Live>>({});
export const models = signal<api.ServedModel[]>([]);
export const server = signal<api.ServerState | null>(null);
export const offline = signal('');
export const view = signal<View>('chat');
export const dialog = signal<Dialog>('none');
export const sidebarOpen = signal(true);
export const theme = signal<Theme>((localStorage.getItem('kinglet.theme') as Theme | null) ?? 'system');
/** What screen readers are told. */
export const announcement = signal('');
/** A short notice to everybody, that goes away. */
export const notice = signal('');

export const current = computed(() => conversations.value.find((one) => one.id === currentId.value) ?? null);
export const settings = computed(() => current.value?.settings ?? draftSettings.value);
export const model = computed(
  () => models.value.find((one) => one.id === settings.value.model) ?? models.value[0] ?? null,
);

const aborts = new Map<string, AbortController>();

function loadDefaults(): Settings {
  try {
    return { ...defaultSettings, ...(JSON.parse(localStorage.getItem('kinglet.settings') ?? '{}') as Partial<Settings>) };
  } catch {
    return { ...defaultSettings };
  }
}

// -- conversations --

function keep(conversation: Conversation): void {
  const others = conversations.value.filter((one) => one.id !== conversation.id);
  conversations.value = [conversation, ...others].sort((a, b) => b.updated - a.updated);
  void save(conversation);
}

const channel = new BroadcastChannel('kinglet');

async function save(conversation: Conversation): Promise<void> {
  try {
    await database.write(conversation);
    channel.postMessage({ changed: conversation.id });
  } catch {
    say('The browser could not keep this conversation: its storage is full or closed.');
  }
}

// Another tab changed something: what it wrote is taken, unless an answer is being written here.
channel.onmessage = async () => {
  const all = await database.readAll();
  const busy = conversations.value.filter((one) => live.value[one.id]);
  const rest = all.filter((one) => !busy.some((mine) => mine.id === one.id));
  conversations.value = [...busy, ...rest].sort((a, b) => b.updated - a.updated);
};

export function update(id: string, how: (conversation: Conversation) => Conversation): void {
  const found = conversations.value.find((one) => one.id === id);
  if (found) keep(how(found));
}

export function open(id: string | null): void {
  batch(() => {
    currentId.value = id;
    view.value = 'chat';
    if (narrow()) sidebarOpen.value = false;
  });
  history.replaceState(null, '', id === null ? '#' : `#/c/${id}`);
}

export function startNew(): void {
  draftSettings.value = loadDefaults();
  open(null);
}

export async function deleteConversation(id: string): Promise<void> {
  stop(id);
  conversations.value = conversations.value.filter((one) => one.id !== id);
  if (currentId.value === id) open(null);
  await database.remove(id);
  channel.postMessage({ changed: id });
}

export function rename(id: string, title: string): void {
  update(id, (one) => ({ ...one, title }));
}

export function importAll(all: Conversation[]): void {
  for (const one of all) keep(one);
}

export function changeSettings(changes: Partial<Settings>): void {
  const now = { ...settings.value, ...changes };
  if (current.value) update(current.value.id, (one) => ({ ...one, settings: now }));
  else draftSettings.value = now;
}

export function saveDefaults(): void {
  localStorage.setItem('kinglet.settings', JSON.stringify(settings.value));
  say('New conversations will begin with these settings.');
}

// -- messages --

export function send(text: string): void {
  const conversation = current.value ?? tree.newConversation({ ...draftSettings.value });
  const message: Message = {
    id: tree.newId(),
    parent: conversation.head,
    role: 'user',
    content: text,
    created: Date.now(),
  };
  answerTo(tree.append(conversation, message));
}

/** Another version of what the user said, with an answer of its own. */
export function editMessage(id: string, text: string): void {
  const conversation = current.value;
  const old = conversation?.messages[id];
  if (!conversation || !old) return;
  stop(conversation.id);
  const message: Message = { id: tree.newId(), parent: old.parent, role: 'user', content: text, created: Date.now() };
  answerTo(tree.append(conversation, message));
}

/** Another answer to the same. */
export function retry(id: string): void {
  const conversation = current.value;
  const old = conversation?.messages[id];
  if (!conversation || !old) return;
  stop(conversation.id);
  answerTo({ ...conversation, head: old.role === 'assistant' ? old.parent : id });
}

/** The user says what a tool returned; with the last call's result the model goes on. */
export function giveToolResult(call: string, content: string): void {
  const conversation = current.value;
  if (!conversation) return;
  const message: Message = {
    id: tree.newId(),
    parent: conversation.head,
    role: 'tool',
    toolCallId: call,
    content,
    created: Date.now(),
  };
  const next = tree.append(conversation, message);
  if (openCalls(next).length > 0) keep(next);
  else answerTo(next);
}

/** Calls at the end of the path that have no result yet. */
export function openCalls(conversation: Conversation): NonNullable<Message['toolCalls']> {
  const path = tree.shownPath(conversation);
  const last = path.findLast((message) => message.role !== 'tool');
  if (!last || last.role !== 'assistant' || live.value[conversation.id]) return [];
  const answered = new Set(path.filter((message) => message.role === 'tool').map((message) => message.toolCallId));
  return answerParts(last).toolCalls.filter((call) => !answered.has(call.id));
}

export function branch(id: string): void {
  if (!current.value) return;
  const copy = tree.branchAt(current.value, id);
  keep(copy);
  open(copy.id);
  say('This is a conversation of its own now.');
}

export function stop(id: string): void {
  aborts.get(id)?.abort();
}

function answerTo(conversation: Conversation): void {
  const message: Message = {
    id: tree.newId(),
    parent: conversation.head,
    role: 'assistant',
    content: '',
    created: Date.now(),
    model: settings.value.model || model.value?.id,
  };
  const path = tree.shownPath(conversation);
  const next = tree.append(conversation, message);
  keep(next);
  if (currentId.value !== next.id) open(next.id);
  void write(next.id, message.id, path, next.settings);
}

const kFlushMilliseconds = 50;
const kRateWindowMilliseconds = 2500;

// Asks for the answer and follows it to its end.
async function write(id: string, message: string, path: Message[], asked: Settings): Promise<void> {
  const abort = new AbortController();
  aborts.set(id, abort);
  const now: Live = {
    message,
    content: '',
    reasoning: '',
    toolCalls: [],
    begun: performance.now(),
    firstToken: undefined,
    pieces: 0,
    rate: 0,
  };
  const show = (): void => {
    live.value = { ...live.value, [id]: { ...now } };
  };
  const times: number[] = [];
  let shown = 0;
  let saved = now.begun;
  const end: Partial<Message> = {};
  let usage: api.Usage | undefined;
  show();
  announcement.value = 'The answer is being written.';
  try {
    for await (const delta of api.streamAnswer(api.chatBody(asked, path), id, abort.signal)) {
      const time = performance.now();
      if (delta.content || delta.reasoning || delta.toolCalls) {
        now.firstToken ??= time;
        ++now.pieces;
        times.push(time);
        while (times[0]! < time - kRateWindowMilliseconds) times.shift();
        now.rate = times.length > 1 ? ((times.length - 1) / (time - times[0]!)) * 1000 : 0;
      }
      now.content += delta.content ?? '';
      now.reasoning += delta.reasoning ?? '';
      if (delta.toolCalls) now.toolCalls = api.mergeToolCalls(now.toolCalls, delta.toolCalls);
      if (delta.finish) end.finish = delta.finish;
      usage = delta.usage ?? usage;
      if (time - shown > kFlushMilliseconds) {
        show();
        shown = time;
      }
      if (time - saved > 2000) {
        update(id, (one) => tree.change(one, message, { content: now.content, reasoning: now.reasoning }));
        saved = time;
      }
    }
  } catch (error) {
    if (abort.signal.aborted) end.finish = 'stopped';
    else end.error = explain(error);
  }
  finishAnswer(id, now, end, usage);
  if (aborts.get(id) === abort) aborts.delete(id);
}

function finishAnswer(id: string, now: Live, end: Partial<Message>, usage: api.Usage | undefined): void {
  const time = performance.now();
  const { message, content, reasoning, toolCalls, begun } = now;
  end.content = content;
  if (reasoning !== '') end.reasoning = reasoning;
  if (toolCalls.length > 0) end.toolCalls = toolCalls;
  if (now.firstToken !== undefined) {
    end.stats = {
      promptTokens: usage?.promptTokens ?? 0,
      cachedTokens: usage?.cachedTokens ?? 0,
      answerTokens: usage?.answerTokens ?? now.pieces,
      firstToken: (now.firstToken - begun) / 1000,
      seconds: (time - begun) / 1000,
    };
  }
  batch(() => {
    // A newer answer of the same conversation may have begun meanwhile.
    if (live.value[id]?.message === message) {
      const { [id]: _, ...rest } = live.value;
      live.value = rest;
    }
    update(id, (one) => tree.change(one, message, end));
    announcement.value = end.error ?? (end.finish === 'stopped' ? 'Stopped.' : `The answer is complete. ${content}`);
  });
  void refreshServer();
}

function explain(error: unknown): string {
  if (error instanceof api.ApiError) {
    if (error.status === 401) dialog.value = 'key';
    if (error.code === 'context_length_exceeded') {
      return `${error.message}. Start a new conversation, or branch from an earlier message.`;
    }
    return error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

// -- the page --

export const narrow = (): boolean => matchMedia('(max-width: 800px)').matches;

let noticeTimer: ReturnType<typeof setTimeout> | undefined;
export function say(text: string): void {
  notice.value = text;
  announcement.value = text;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => (notice.value = ''), 4000);
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    announcement.value = 'Copied.';
    return true;
  } catch {
    say('The browser does not let this page copy.');
    return false;
  }
}

export function setTheme(value: Theme): void {
  theme.value = value;
  localStorage.setItem('kinglet.theme', value);
  applyTheme();
}

export function applyTheme(): void {
  if (theme.value === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
}

export async function refreshModels(): Promise<void> {
  try {
    models.value = await api.listModels();
    offline.value = '';
  } catch (error) {
    offline.value = explain(error);
  }
}

export async function refreshServer(): Promise<void> {
  if (document.hidden) return;
  try {
    server.value = await api.serverState();
    const back = offline.value !== '';
    offline.value = server.value.healthy ? '' : 'The server is not well: it is ending, or its model gives no sign of life.';
    if (back && models.value.length === 0) await refreshModels();
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 401) return;
    offline.value = explain(error);
  }
}

const kPollMilliseconds = 4000;

export async function begin(): Promise<void> {
  applyTheme();
  sidebarOpen.value = !narrow();
  void refreshModels().then(refreshServer);
  setInterval(() => void refreshServer(), kPollMilliseconds);
  document.addEventListener('visibilitychange', () => void refreshServer());
  try {
    conversations.value = (await database.readAll()).sort((a, b) => b.updated - a.updated);
  } catch {
    say('The browser has no storage for this page: conversations will be forgotten.');
  }
  const asked = /^#\/c\/([0-9a-f]+)$/.exec(location.hash)?.[1];
  if (asked && conversations.value.some((one) => one.id === asked)) currentId.value = asked;
  if (location.hash === '#/playground') view.value = 'playground';
}
