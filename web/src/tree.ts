// Walks and changes of a conversation's tree. All functions are pure: they return new conversations.
import type { Conversation, Message, Settings } from './types';

export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function newConversation(settings: Settings, now = Date.now()): Conversation {
  return { id: newId(), title: '', created: now, updated: now, messages: {}, head: null, settings };
}

/** From the first message to `id`. */
export function pathTo(conversation: Conversation, id: string | null): Message[] {
  const path: Message[] = [];
  for (let at = id; at !== null; ) {
    const message: Message | undefined = conversation.messages[at];
    if (!message) break;
    path.push(message);
    at = message.parent;
  }
  return path.reverse();
}

export const shownPath = (conversation: Conversation): Message[] => pathTo(conversation, conversation.head);

export function childrenOf(conversation: Conversation, parent: string | null): Message[] {
  return Object.values(conversation.messages)
    .filter((message) => message.parent === parent)
    .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

/** The versions of a message: what stands at its place, itself included. */
export function versionsOf(conversation: Conversation, message: Message): Message[] {
  return childrenOf(conversation, message.parent);
}

/** The newest message below `id`, going down by the newest child each time. */
export function newestLeaf(conversation: Conversation, id: string): string {
  for (let at = id; ; ) {
    const next = childrenOf(conversation, at).at(-1);
    if (!next) return at;
    at = next.id;
  }
}

export function append(conversation: Conversation, message: Message): Conversation {
  const title =
    conversation.title === '' && message.role === 'user' ? titleFrom(message.content) : conversation.title;
  return {
    ...conversation,
    title,
    updated: message.created,
    head: message.id,
    messages: { ...conversation.messages, [message.id]: message },
  };
}

export function change(conversation: Conversation, id: string, changes: Partial<Message>): Conversation {
  const message = conversation.messages[id];
  if (!message) return conversation;
  return { ...conversation, messages: { ...conversation.messages, [id]: { ...message, ...changes } } };
}

export function showVersion(conversation: Conversation, id: string): Conversation {
  return { ...conversation, head: newestLeaf(conversation, id) };
}

/** Takes a message and all below it away; another version, or what came before, is shown then. */
export function removeMessage(conversation: Conversation, id: string): Conversation {
  const message = conversation.messages[id];
  if (!message) return conversation;
  const gone = new Set([id]);
  for (const at of gone) for (const child of childrenOf(conversation, at)) gone.add(child.id);
  const messages = Object.fromEntries(Object.entries(conversation.messages).filter(([key]) => !gone.has(key)));
  const rest = { ...conversation, messages };
  if (conversation.head !== null && !gone.has(conversation.head)) return rest;
  const other = childrenOf(rest, message.parent).at(-1);
  return { ...rest, head: other ? newestLeaf(rest, other.id) : message.parent };
}

/** A conversation of its own that holds the path up to `id`. */
export function branchAt(conversation: Conversation, id: string, now = Date.now()): Conversation {
  const path = pathTo(conversation, id);
  return {
    ...newConversation({ ...conversation.settings }, now),
    title: conversation.title === '' ? '' : `${conversation.title} (branch)`,
    head: id,
    messages: Object.fromEntries(path.map((message) => [message.id, { ...message }])),
  };
}

export function titleFrom(text: string): string {
  const line = text.split('\n').map((part) => part.replace(/^[#>*\s`-]+/, '').trim()).find((part) => part !== '') ?? '';
  return line.length <= 60 ? line : `${line.slice(0, 57).trimEnd()}…`;
}

/** Conversations that contain every word of `query`, newest first, each with the text around the first hit. */
export function search(all: Conversation[], query: string): { conversation: Conversation; excerpt: string }[] {
  const words = query.toLowerCase().split(/\s+/).filter((word) => word !== '');
  const found: { conversation: Conversation; excerpt: string }[] = [];
  for (const conversation of [...all].sort((a, b) => b.updated - a.updated)) {
    const texts = [conversation.title, ...Object.values(conversation.messages).map((message) => message.content)];
    const lower = texts.join('\n').toLowerCase();
    if (!words.every((word) => lower.includes(word))) continue;
    found.push({ conversation, excerpt: words.length === 0 ? '' : excerptOf(texts.slice(1), words[0]!) });
  }
  return found;
}

function excerptOf(texts: string[], word: string): string {
  for (const text of texts) {
    const at = text.toLowerCase().indexOf(word);
    if (at < 0) continue;
    const begin = Math.max(0, at - 24);
    const end = Math.min(text.length, at + word.length + 60);
    return `${begin > 0 ? '…' : ''}${text.slice(begin, end).replace(/\s+/g, ' ').trim()}${end < text.length ? '…' : ''}`;
  }
  return '';
}
